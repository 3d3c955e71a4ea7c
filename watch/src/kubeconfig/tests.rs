//! Loading of various kubeconfigs.

use std::ffi::OsString;
use std::fs;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;
use crate::ClusterOptions;

const CA: &str = include_str!("../../tests/data/tls/ca.crt");
const CLIENT: &str = include_str!("../../tests/data/tls/client.crt");
const CLIENT_V1: &str = include_str!("../../tests/data/tls/client-v1.crt");
const CLIENT_KEY: &str = include_str!("../../tests/data/tls/client.key");
const SEC1_KEY: &str = include_str!("../../tests/data/tls/client-sec1.key");
const ENCRYPTED_KEY: &str = include_str!("../../tests/data/tls/encrypted.key");

/// A folder with kubeconfigs and the files that they name.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Loads this kubeconfig, with the given context or the current one.
    fn load(&self, text: impl AsRef<[u8]>, context: Option<&str>) -> Result<ClientConfig, KubeconfigError> {
        ConfigSource::Named(self.write("config", text)).load(context, |_| None)
    }
}

/// Returns a kubeconfig with one context. Its cluster and user have these fields, in YAML's flow style.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "current-context: test\n\
         contexts: [{{name: test, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{{cluster}}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n"
    )
}

fn load(cluster: &str, user: &str) -> Result<ClientConfig, KubeconfigError> {
    Folder::new().load(kubeconfig(cluster, user), None)
}

fn fault(cluster: &str, user: &str) -> String {
    load(cluster, user).err().expect("it is refused").to_string()
}

/// Returns the `Authorization` header of requests.
fn header(loaded: &ClientConfig) -> Option<&str> {
    match &loaded.authorization {
        Authorization::Fixed(token) | Authorization::TokenFile { token, .. } => token.to_str().ok(),
        Authorization::None | Authorization::Plugin(_) => None,
    }
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

const SERVER: &str = "server: 'https://127.0.0.1:6443'";

#[test]
fn white_space_around_tokens_is_ignored() {
    for user in [r#"token: "good\n""#, r#"token: " good\r\n""#, "token: good", "token: !!str good"] {
        assert_eq!(header(&load(SERVER, user).unwrap()), Some("Bearer good"), "{user}");
    }
    let folder = Folder::new();
    folder.write("token", "good\n");
    let loaded = folder.load(kubeconfig(SERVER, "tokenFile: token"), None).unwrap();
    assert_eq!(header(&loaded), Some("Bearer good"));
}

#[test]
fn tokens_unfit_for_headers_are_refused() {
    let text = fault(SERVER, r#"token: "secret\nword""#);
    assert!(text.ends_with("config, user \"u\": token: the token has characters that no HTTP header can hold, such as a line break"), "{text}");
    assert!(fault(SERVER, r#"token: "\n""#).ends_with("the token is empty"));
    let folder = Folder::new();
    let path = folder.write("token", "\n");
    let text = folder.load(kubeconfig(SERVER, "tokenFile: token"), None).err().unwrap().to_string();
    assert_eq!(text, format!("cannot read the token file {}: the token is empty", path.display()));
}

#[test]
fn token_files_beat_tokens() {
    let folder = Folder::new();
    let text = kubeconfig(SERVER, "token: inline, tokenFile: token");
    assert_eq!(header(&folder.load(&text, None).unwrap()), Some("Bearer inline"), "while there is no file");
    folder.write("token", "file");
    assert_eq!(header(&folder.load(&text, None).unwrap()), Some("Bearer file"));
    assert!(fault(SERVER, "tokenFile: token").contains("cannot read the token file"));
}

#[test]
fn tokens_are_text_whatever_their_yaml_type() {
    for token in ["42e7891", "0x1f", "12345678901234567890123", "true"] {
        let loaded = load(SERVER, &format!("token: {token}")).unwrap();
        assert_eq!(header(&loaded), Some(format!("Bearer {token}").as_str()));
    }
    assert!(fault(SERVER, "token: [a]").ends_with("user \"u\": token must be text, and is a list"));
}

#[test]
fn user_names_and_passwords_are_sent() {
    let loaded = load(SERVER, "username: admin, password: 'p:w'").unwrap();
    assert_eq!(header(&loaded), Some(format!("Basic {}", base64("admin:p:w")).as_str()));
    assert!(fault(SERVER, "username: a, password: b, token: c").contains("both a token and a user name"));
}

#[test]
fn a_server_without_scheme_gets_one() {
    for (cluster, user, expected) in [
        ("server: '127.0.0.1:6443'", "", "http://127.0.0.1:6443/"),
        ("server: '127.0.0.1:6443'", "token: t", "https://127.0.0.1:6443/"),
        ("server: '127.0.0.1:6443', insecure-skip-tls-verify: true", "", "https://127.0.0.1:6443/"),
        ("server: localhost:8080", "", "http://localhost:8080/"),
    ] {
        assert_eq!(load(cluster, user).unwrap().config.cluster_url.to_string(), expected, "{cluster}");
    }
    assert!(fault("server: ''", "").ends_with("cluster \"c\": it names no server"));
    assert!(fault("server: 'http://'", "").contains("cluster \"c\": server \"http://\": "));
}

#[test]
fn line_wrapped_data_is_read() {
    let encoded = base64(CA);
    let wrapped: Vec<&str> =
        encoded.as_bytes().chunks(76).filter_map(|line| str::from_utf8(line).ok()).collect();
    let block = wrapped.join("\n      ");
    let text = format!(
        "current-context: test\n\
         contexts: [{{name: test, context: {{cluster: c}}}}]\n\
         clusters:\n- name: c\n  cluster:\n    {SERVER}\n    certificate-authority-data: |\n      {block}\n"
    );
    let loaded = Folder::new().load(text, None).unwrap();
    assert_eq!(loaded.config.root_cert.unwrap().len(), 1);
}

#[test]
fn authorities_that_are_none_are_described() {
    let key_text = CLIENT_KEY.to_owned();
    for (data, expected) in [
        (base64("hello"), "there is no certificate in it; it is not PEM (-----BEGIN ...)"),
        (base64(&base64(CA)), "there is no certificate in it; it is PEM with one base64 encoding too many"),
        (base64(&key_text), "there is no certificate in it; it has a section \"PRIVATE KEY\""),
        (base64("0\u{2}"), "it is not PEM"),
        (base64(CA.trim_end().trim_end_matches("-----END CERTIFICATE-----")), "its PEM is damaged"),
        ("!!!!".to_owned(), "certificate-authority-data is not base64"),
    ] {
        let text = fault(&format!("{SERVER}, certificate-authority-data: '{data}'"), "");
        assert!(text.contains("config, cluster \"c\": certificate-authority-data"), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let folder = Folder::new();
    let path = folder.write("ca", [0x30, 0x82, 1, 2]);
    let text =
        folder.load(kubeconfig(&format!("{SERVER}, certificate-authority: ca"), ""), None).err().unwrap();
    let expected =
        format!("certificate-authority {}: there is no certificate in it; it is DER", path.display());
    assert!(text.to_string().contains(&expected), "{text}");
}

#[test]
fn insecure_and_an_authority_exclude_each_other() {
    let data = base64(CA);
    let cluster = format!("{SERVER}, insecure-skip-tls-verify: true, certificate-authority-data: {data}");
    let text = fault(&cluster, "");
    assert!(
        text.ends_with("insecure-skip-tls-verify and a certificate-authority exclude each other"),
        "{text}"
    );
    let cluster = cluster.replace("true", "false");
    assert!(!load(&cluster, "").unwrap().config.accept_invalid_certs);
    let yes = load(&format!("{SERVER}, insecure-skip-tls-verify: yes"), "").unwrap();
    assert!(yes.config.accept_invalid_certs);
    let text = fault(&format!("{SERVER}, insecure-skip-tls-verify: maybe"), "");
    assert!(text.ends_with("insecure-skip-tls-verify must be true or false, and is \"maybe\""), "{text}");
}

#[tokio::test]
async fn client_certificates_of_version_1_are_named() {
    let user = |certificate: &str, key: &str| {
        format!("client-certificate-data: {}, client-key-data: {}", base64(certificate), base64(key))
    };
    let text = fault(SERVER, &user(CLIENT_V1, CLIENT_KEY));
    assert!(text.contains("client-certificate-data: it is an X.509 version 1 certificate"), "{text}");
    let text = fault(SERVER, &user(CLIENT, ENCRYPTED_KEY));
    assert!(text.ends_with("client-key-data: there is no private key in it that can be used; it has a section \"ENCRYPTED PRIVATE KEY\"; keys must not be encrypted"), "{text}");
    for key in [CLIENT_KEY, SEC1_KEY] {
        let loaded = load(SERVER, &user(CLIENT, &format!("# comment\r\n{key}"))).unwrap();
        assert!(kube::Client::try_from(loaded.config.clone()).is_ok());
        let info = loaded.config.auth_info;
        assert!(info.client_certificate_data.is_some());
        assert!(!info.client_key_data.unwrap().expose_secret().is_empty());
    }
}

#[test]
fn half_a_client_certificate_is_refused() {
    let certificate = format!("client-certificate-data: {}", base64(CLIENT));
    assert!(fault(SERVER, &certificate).ends_with("it has a client certificate, but no client-key"));
    assert!(fault(SERVER, "client-key: key").ends_with("it has a client key, but no client-certificate"));
    let user = format!("{certificate}, client-key: missing");
    assert!(fault(SERVER, &user).contains("cannot read client-key "));
}

#[test]
fn unchosen_entries_are_ignored() {
    let others = [
        "contexts: [{name: half, context: {}}, {name: [], context: 1}, 7, ~, {context: {cluster: c}}]",
        "users: [{name: gcp, user: {auth-provider: {name: gcp, config: null}}}, {name: e, user: {exec: 1e999}}, \
         {name: f, user: {token: {}, exec: {args: {}, env: [1]}, client-key-data: '!'}}]",
        "clusters: [{name: d, cluster: {server: 127.0.0.1, certificate-authority-data: '!', insecure-skip-tls-verify: 3, \
         extensions: .inf, proxy-url: 'ftp://x'}}, {name: twice}, {name: twice}]",
        "preferences: {colors: 1e999}",
        "extensions: 2026-01-01",
    ];
    let chosen = kubeconfig(SERVER, "token: good");
    let folder = Folder::new();
    for other in others {
        let (list, entries) = other.split_once(": ").unwrap();
        // Before and after the chosen entry, in the same document and in another.
        let entries = entries.trim_start_matches('[').trim_end_matches(']');
        for text in [
            chosen.replace(&format!("{list}: ["), &format!("{list}: [{entries}, ")),
            format!("{chosen}---\n{other}\n"),
        ] {
            let loaded = folder.load(&text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(header(&loaded), Some("Bearer good"));
            assert_eq!(loaded.config.cluster_url, "https://127.0.0.1:6443/");
        }
    }
}

#[test]
fn an_unknown_context_names_those_there_are() {
    let folder = Folder::new();
    let text = "contexts: [{name: b}, {name: \"a\\n\"}, {name: b}]\nclusters: []\n";
    let refused = |context: Option<&str>| folder.load(text, context).err().unwrap().to_string();
    let path = folder.0.path().join("config");
    let path = path.display();
    assert_eq!(
        refused(Some("no\u{1b}such")),
        format!(r#"there is no context "no\u{{1b}}such" in {path}; the contexts are "a\n", "b""#)
    );
    assert_eq!(
        refused(None),
        format!(r#"no context is chosen: {path} has no current-context; the contexts are "a\n", "b""#)
    );
    let many: String = (100..150).fold(String::new(), |list, number| list + &format!("- name: c{number}\n"));
    let text = folder.load(format!("contexts:\n{many}"), Some("x")).err().unwrap().to_string();
    assert!(text.ends_with(r#""c109" and 40 more"#), "{text}");
    assert!(
        folder
            .load("contexts: []", Some("x"))
            .err()
            .unwrap()
            .to_string()
            .ends_with("it has no contexts at all")
    );
}

#[test]
fn what_a_context_names_must_be_there() {
    let folder = Folder::new();
    let with = |context: &str| {
        let text = format!(
            "contexts: [{{name: test, context: {{{context}}}}}]\nclusters: [{{name: c}}, {{name: d}}, {{name: d}}]"
        );
        folder.load(text, Some("test")).err().unwrap().to_string()
    };
    assert!(with("").ends_with("context \"test\": it names no cluster"));
    assert!(with("cluster: x").ends_with("context \"test\": there is no cluster \"x\""));
    assert!(with("cluster: c").ends_with("cluster \"c\": it names no server"));
    assert!(with("cluster: d").ends_with("cluster \"d\": clusters has two of this name"));
    // As in kubectl: the server may accept anonymous requests.
    let text = kubeconfig(SERVER, "token: t").replace("user: u", "user: x");
    assert_eq!(header(&folder.load(text, None).unwrap()), None);
}

#[test]
fn the_first_kubeconfig_to_name_something_wins() {
    let folder = Folder::new();
    let first = folder
        .write("first", "current-context: ''\nclusters: [{name: c, cluster: {server: 'https://first'}}]");
    let second = kubeconfig("server: 'https://second', insecure-skip-tls-verify: true", "token: t");
    let second = folder.write("second", second);
    let missing = folder.0.path().join("missing");
    let empty = folder.write("empty", "");
    let place = ConfigSource::Usual(vec![missing.clone(), empty, first, second]);
    let loaded = place.load(None, |_| None).unwrap();
    assert_eq!(loaded.config.cluster_url, "https://first/");
    assert!(!loaded.config.accept_invalid_certs, "an entry is taken whole");
    assert_eq!(header(&loaded), Some("Bearer t"));
    let text = ConfigSource::Usual(vec![missing.clone()]).load(None, |_| None).err().unwrap().to_string();
    assert_eq!(text, format!("there is no kubeconfig: {} does not exist", missing.display()));
    let text = ConfigSource::Named(missing).load(None, |_| None).err().unwrap().to_string();
    assert!(text.starts_with("cannot read kubeconfig ") && text.contains("No such file"), "{text}");
}

#[test]
fn other_files_are_told_from_kubeconfigs() {
    let folder = Folder::new();
    for (content, expected) in [
        (
            &br#"{"kind": "PodList", "apiVersion": "v1", "items": []}"#[..],
            "its kind is \"PodList\", not Config; --pods-file takes lists of pods",
        ),
        (b"kind: Secret", "its kind is \"Secret\", not Config"),
        (b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:d:/:/bin/sh\n", "and this is text"),
        (b"- a\n", "and this is a list"),
        (b"a: 1\n", "it has neither clusters nor users nor contexts"),
        (b"clusters: {}\n", "clusters must be a list, and is a mapping"),
        (b"\x1f\x8b\x08\x00", "it is not text in UTF-8"),
        (b"a: [\n", "line 1, column 4: this is neither YAML nor JSON: "),
    ] {
        let text = folder.load(content, None).err().unwrap().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn removed_providers_name_their_replacement() {
    let loaded = load(SERVER, "auth-provider: {name: oidc, config: {id-token: \"t\\n\"}}").unwrap();
    assert_eq!(header(&loaded), Some("Bearer t"));
    let text = fault(SERVER, "auth-provider: {name: gcp, config: null}");
    assert!(text.ends_with("use the plugin gke-gcloud-auth-plugin"), "{text}");
    let text = fault(SERVER, "auth-provider: {name: x}, exec: {command: y}");
    assert!(text.ends_with("it has both exec and auth-provider; only one is allowed"), "{text}");
}

#[test]
fn plugins_need_a_command_and_a_version() {
    let version = "apiVersion: client.authentication.k8s.io/v1";
    for (exec, expected) in [
        (version.to_owned(), "exec.command is missing"),
        ("command: x".to_owned(), "exec.apiVersion is missing"),
        ("command: x, apiVersion: v1".to_owned(), "exec.apiVersion \"v1\" is not supported"),
        (
            format!("{version}, command: x, interactiveMode: Always"),
            "a plugin that asks questions cannot be used",
        ),
        (format!("{version}, command: x, env: [{{value: y}}]"), "exec.env has a variable without a name"),
        (format!("{version}, command: x, args: y"), "exec.args must be a list, and is text"),
    ] {
        let text = fault(SERVER, &format!("exec: {{{exec}}}"));
        assert!(text.ends_with(expected), "{text}");
    }
}

#[test]
fn impersonation_is_passed_on() {
    let user = "as: jane, as-uid: 7, as-groups: [a, b], as-user-extra: {scope: [x]}";
    let info = load(SERVER, user).unwrap().config.auth_info;
    assert_eq!(info.impersonate.as_deref(), Some("jane"));
    assert_eq!(info.impersonate_uid.as_deref(), Some("7"));
    assert_eq!(info.impersonate_groups.unwrap(), ["a", "b"]);
    assert_eq!(info.impersonate_user_extra.unwrap()["scope"], ["x"]);
    assert!(fault(SERVER, r#"as: "a\nb""#).ends_with(r#""a\nb" cannot be sent in an HTTP header"#));
    assert!(fault(SERVER, "as-groups: [a]").contains("need a user to act as"));
}

#[test]
fn proxies_are_chosen_and_checked() {
    let folder = Folder::new();
    let load = |cluster: &str, variables: &'static [(&str, &str)]| {
        let path = folder.write("config", kubeconfig(cluster, ""));
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        ConfigSource::Named(path).load(None, variable)
    };
    let far = "server: 'https://192.0.2.1'";
    let proxy = |loaded: ClientConfig| loaded.config.proxy_url.map(|url| url.to_string());
    let variables = &[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", "192.0.2.0/24")];
    assert_eq!(proxy(load(far, &variables[..1]).unwrap()).as_deref(), Some("http://proxy:3128/"));
    assert_eq!(proxy(load(far, variables).unwrap()), None);
    let text = load(&format!("{far}, proxy-url: 'ftp://x'"), &[]).err().unwrap().to_string();
    assert!(text.ends_with("proxy-url \"ftp://x\": a proxy of this kind is not supported; supported are http://, https:// and socks5://"), "{text}");
    let loaded = load("server: 'http://192.0.2.1', proxy-url: 'socks5://x'", &[]).unwrap();
    assert_eq!(loaded.config.cluster_url, "http://192.0.2.1:80/");
}

#[test]
fn a_pod_reads_its_service_account() {
    let folder = Folder::new();
    let place =
        |host: &str| ConfigSource::Pod { server: format!("{host}:443"), account: folder.0.path().to_owned() };
    let text = place("10.96.0.1").load(None, |_| None).err().unwrap().to_string();
    assert!(text.starts_with("cannot read the token file "), "{text}");
    folder.write("token", "good\n");
    folder.write("ca.crt", format!("\n{}\n\n", CA.trim()));
    let loaded = place("[fd00::1]").load(None, |_| None).unwrap();
    assert_eq!(loaded.config.cluster_url, "https://[fd00::1]:443/");
    assert_eq!(header(&loaded), Some("Bearer good"));
    assert_eq!(loaded.config.root_cert.unwrap().len(), 1);
    let (files, program) = place("10.96.0.1").reads(None);
    assert_eq!(files, [folder.0.path().join("ca.crt"), folder.0.path().join("token")]);
    assert_eq!(program, None);
}

#[test]
fn the_environment_decides_where_to_look() {
    let place = |options: &ClusterOptions, variables: &[(&str, &str)]| {
        ConfigSource::of(options, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    };
    let usual = ClusterOptions::default();
    let pod = [("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "6443")];
    assert!(matches!(place(&usual, &pod), ConfigSource::Pod { server, .. } if server == "[fd00::1]:6443"));
    let context = ClusterOptions { context: Some("x".to_owned()), ..ClusterOptions::default() };
    assert_eq!(place(&context, &pod), ConfigSource::Usual(Vec::new()));
    let named = ClusterOptions { kubeconfig: Some("/k".into()), ..ClusterOptions::default() };
    assert_eq!(place(&named, &pod), ConfigSource::Named("/k".into()));
    assert_eq!(
        place(&usual, &[("KUBECONFIG", "/a::/b"), ("HOME", "/h")]),
        ConfigSource::Usual(vec!["/a".into(), "/b".into()])
    );
    assert_eq!(
        place(&usual, &[("KUBECONFIG", ""), ("HOME", "/h")]),
        ConfigSource::Usual(vec!["/h/.kube/config".into()])
    );
    let text = place(&usual, &[]).load(None, |_| None).err().unwrap().to_string();
    assert_eq!(text, "there is no kubeconfig: neither KUBECONFIG nor HOME is set");
}
