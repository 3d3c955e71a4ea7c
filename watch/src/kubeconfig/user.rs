//! A kubeconfig's user: authorisation of requests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use kube::config::AuthInfo;

use super::error::KubeconfigError;
use super::files::{self, MAX_CREDENTIALS};
use super::header::{bearer, header};
use super::merge::{KubeconfigEntry, texts};
use super::plugin::{self, Plugin};
use super::yaml_node::YamlNode;
use crate::quote::QuotedText;

/// The source of the `Authorization` header of requests.
#[derive(Clone)]
pub(crate) enum Authorization {
    /// No header: a client certificate, or no credentials.
    None,
    /// A constant header.
    Fixed(HeaderValue),
    /// A token in a file, which is replaced occasionally.
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The header with the token that was read last, used while the file cannot be read.
        token: HeaderValue,
    },
    /// The output of a program.
    Plugin(Plugin),
}

/// Returns the authorisation of a user's requests.
///
/// As in `kubectl`, a token file has precedence over a token, and both over a program.
pub(crate) fn authorization(
    user: &KubeconfigEntry,
    cluster: &KubeconfigEntry,
) -> Result<Authorization, KubeconfigError> {
    let token = user.text("token")?;
    let basic = [user.text("username")?, user.text("password")?];
    let exec = user.node().get("exec");
    let provider = user.node().get("auth-provider");
    if (token.is_some() || user.text("tokenFile")?.is_some()) && basic.iter().any(Option::is_some) {
        return Err(user.fault("it has both a token and a user name with password; only one is allowed"));
    }
    if *exec != YamlNode::Null && *provider != YamlNode::Null {
        return Err(user.fault("it has both exec and auth-provider; only one is allowed"));
    }
    let inline = token.map(|token| bearer(token).map_err(|fault| user.fault(format!("token: {fault}"))));
    if let Some(path) = user.path("tokenFile")? {
        let token = match (read_token(&path), inline) {
            (Ok(token), _) => token,
            (Err(_), Some(inline)) => inline?,
            (Err(error), None) => return Err(error),
        };
        return Ok(Authorization::TokenFile { path, token });
    }
    if let Some(inline) = inline {
        return inline.map(Authorization::Fixed);
    }
    if let [Some(name), password] = basic {
        let credentials = STANDARD.encode(format!("{name}:{}", password.unwrap_or_default()));
        return header("Basic", &credentials).map(Authorization::Fixed).map_err(|fault| user.fault(fault));
    }
    if *exec != YamlNode::Null {
        return Plugin::of(user, exec, cluster).map(Authorization::Plugin);
    }
    provider_token(user, provider)
}

/// Returns the program that prints a user's credentials, if there is one.
pub(crate) fn program(user: &KubeconfigEntry) -> Option<String> {
    let text = |field| user.text(field).ok().flatten();
    if ["token", "tokenFile", "username"].into_iter().any(|field| text(field).is_some()) {
        return None;
    }
    user.node().get("exec").get("command").text().map(|command| plugin::resolve(user, command))
}

/// Returns the `Authorization` header with the token in a file.
pub(crate) fn read_token(path: &Path) -> Result<HeaderValue, KubeconfigError> {
    let content = files::read(path, MAX_CREDENTIALS);
    let content = content.and_then(|content| {
        let wrong = |fault| std::io::Error::new(std::io::ErrorKind::InvalidData, fault);
        bearer(&String::from_utf8_lossy(&content)).map_err(wrong)
    });
    content.map_err(|source| KubeconfigError::Read { what: "the token file", path: path.to_owned(), source })
}

/// Returns the token of an authentication provider (`auth-provider`), which older clients have built in.
fn provider_token(user: &KubeconfigEntry, provider: &YamlNode) -> Result<Authorization, KubeconfigError> {
    if *provider == YamlNode::Null {
        return Ok(Authorization::None);
    }
    let name = provider.get("name").text().unwrap_or_default();
    let advice = match name {
        "oidc" => match provider.get("config").get("id-token").text() {
            Some(token) if !token.is_empty() => {
                return bearer(token).map(Authorization::Fixed).map_err(|fault| user.fault(fault));
            }
            _ => "it has no id-token; `kubectl oidc-login` (kubelogin) is a plugin that gets one",
        },
        "gcp" => "kubectl has removed it as well; use the plugin gke-gcloud-auth-plugin",
        "azure" => "kubectl has removed it as well; use the plugin kubelogin",
        _ => "use a plugin (exec), a token or a certificate",
    };
    Err(user.fault(format!("auth-provider {} is not supported: {advice}", QuotedText(name))))
}

/// Returns the impersonation settings for kube's client.
pub(crate) fn impersonation(user: &KubeconfigEntry) -> Result<AuthInfo, KubeconfigError> {
    let mut info = AuthInfo {
        impersonate: user.text("as")?.map(str::to_owned),
        impersonate_uid: user.text("as-uid")?.map(str::to_owned),
        ..AuthInfo::default()
    };
    let groups = texts(user, "as-groups", user.node().get("as-groups"))?;
    let mut extra = HashMap::new();
    if let YamlNode::Map(fields) = user.node().get("as-user-extra") {
        for (name, values) in fields {
            extra.insert(name.clone(), texts(user, "as-user-extra", values)?);
        }
    }
    let all = info.impersonate.iter().chain(&info.impersonate_uid).chain(&groups);
    for text in all.chain(extra.values().flatten()) {
        if HeaderValue::from_str(text).is_err() {
            return Err(user.fault(format!("{} cannot be sent in an HTTP header", QuotedText(text))));
        }
    }
    info.impersonate_groups = (!groups.is_empty()).then_some(groups);
    info.impersonate_user_extra = (!extra.is_empty()).then_some(extra);
    let more = info.impersonate_uid.is_some()
        || info.impersonate_groups.is_some()
        || info.impersonate_user_extra.is_some();
    if more && info.impersonate.is_none() {
        return Err(user.fault("as-uid, as-groups and as-user-extra need a user to act as (as)"));
    }
    Ok(info)
}
