//! Tests with a service in place of the HTTP connection.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// Requests to the fake API server: method, path with query, body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// Returns a client of a fake API server, and the requests it receives. The response to a path and a body is the status
/// and JSON that `answer` returns.
fn cluster(answer: impl Fn(&str, &Value) -> (u16, Value) + Clone + Send + 'static) -> (ClusterClient, Asked) {
    let asked = Asked::default();
    let record = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, record) = (answer.clone(), Arc::clone(&record));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let (status, value) = answer(&path, &body);
            record.lock().expect("no panic").push((head.method.to_string(), path, body));
            let response =
                Response::builder().status(status).body(Body::from(value.to_string().into_bytes()));
            Ok::<_, kube::Error>(response.expect("a sound response"))
        }
    });
    let client = Client::new(service, "default");
    (ClusterClient { client, server: "https://api.example:6443/".to_owned() }, asked)
}

const VERSION: &str = "/version";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews?";

fn failure(code: u16, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                  "code": code}),
    )
}

/// Responds like an API server that permits a verb, resource and namespace if `allowed` returns true.
fn api(
    path: &str,
    body: &Value,
    user: Option<&str>,
    allowed: impl Fn(&str, &str, Option<&str>) -> bool,
) -> (u16, Value) {
    match path {
        VERSION => (
            200,
            json!({"major": "1", "minor": "33", "gitVersion": "v1.33.4", "gitCommit": "", "gitTreeState": "",
                                "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/amd64"}),
        ),
        REVIEWS => {
            let attributes = &body["spec"]["resourceAttributes"];
            let text = |key: &str| attributes[key].as_str();
            let (verb, resource) = (text("verb").unwrap_or_default(), text("resource").unwrap_or_default());
            let allowed = allowed(verb, resource, text("namespace"));
            let mut answer = body.clone();
            answer["status"] =
                json!({"allowed": allowed, "reason": if allowed { "RBAC: allowed" } else { "" }});
            (201, answer)
        }
        WHO if user.is_some() => {
            let mut answer = body.clone();
            answer["status"] = json!({"userInfo": {"username": user, "groups": ["system:authenticated"]}});
            (201, answer)
        }
        _ => failure(404, "the server could not find the requested resource"),
    }
}

fn scope(pods: bool, namespaces: &[&str]) -> Scope {
    let namespaces = namespaces.iter().map(|text| text.parse().expect("a label")).collect();
    Scope { pods, namespaces, ..Scope::default() }
}

fn texts(needed: &[Permission]) -> Vec<String> {
    needed.iter().map(ToString::to_string).collect()
}

const ACCOUNT: &str = "system:serviceaccount:dns:poddns";

#[test]
fn needs_follow_the_scope() {
    assert_eq!(
        texts(&needed(&scope(true, &[]))),
        [
            "list pods in all namespaces",
            "watch pods in all namespaces",
            "list namespaces",
            "watch namespaces"
        ]
    );
    assert_eq!(
        texts(&needed(&scope(true, &["a", "b"]))),
        [
            "list pods in namespace a",
            "watch pods in namespace a",
            "list pods in namespace b",
            "watch pods in namespace b",
            "list namespaces",
            "watch namespaces"
        ]
    );
    assert_eq!(texts(&needed(&scope(false, &["a"]))), ["list namespaces", "watch namespaces"]);
}

#[tokio::test]
async fn each_permission_is_reviewed() {
    let (cluster, asked) = cluster(|path, body| api(path, body, Some(ACCOUNT), |_, _, _| true));
    let access = cluster.access(&needed(&scope(true, &["web"]))).await.expect("it answers");
    assert_eq!((access.server.as_str(), access.version.as_str()), ("https://api.example:6443/", "v1.33.4"));
    let account = Subject::ServiceAccount { namespace: "dns".to_owned(), name: "poddns".to_owned() };
    assert_eq!(access.subject, Some(account));
    assert!(access.is_sufficient());
    assert_eq!(access.missing_rbac(), None);
    let asked = asked.lock().expect("no panic");
    let attributes: Vec<&Value> = asked
        .iter()
        .filter(|(method, path, _)| method == "POST" && path == REVIEWS)
        .map(|(_, _, body)| &body["spec"]["resourceAttributes"])
        .collect();
    assert_eq!(
        attributes,
        [
            &json!({"verb": "list", "resource": "pods", "namespace": "web"}),
            &json!({"verb": "watch", "resource": "pods", "namespace": "web"}),
            &json!({"verb": "list", "resource": "namespaces"}),
            &json!({"verb": "watch", "resource": "namespaces"}),
        ]
    );
}

#[tokio::test]
async fn role_lacking_a_verb_is_printed_whole() {
    let (cluster, _) = cluster(|path, body| {
        api(path, body, Some(ACCOUNT), |verb, resource, _| (verb, resource) != ("watch", "pods"))
    });
    let access = cluster.access(&needed(&scope(true, &[]))).await.expect("it answers");
    assert!(!access.is_sufficient());
    let denied: Vec<_> = access.findings.iter().filter(|finding| !finding.allowed).collect();
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0].permission.to_string(), "watch pods in all namespaces");
    assert_eq!(
        access.missing_rbac().as_deref(),
        Some(
            r#"---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: poddns
rules:
- apiGroups: [""]
  resources: ["pods", "namespaces"]
  verbs: ["list", "watch"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: "poddns:dns:poddns"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: poddns
subjects:
- kind: ServiceAccount
  namespace: "dns"
  name: "poddns"
"#
        )
    );
}

#[tokio::test]
async fn only_namespaces_lacking_permissions_get_roles() {
    let (cluster, _) = cluster(|path, body| {
        api(path, body, Some("jane \"j\" doe"), |_, resource, namespace| {
            resource == "namespaces" || namespace == Some("a")
        })
    });
    let access = cluster.access(&needed(&scope(true, &["a", "null", "123"]))).await.expect("it answers");
    let yaml = access.missing_rbac().expect("something is missing");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("it is YAML");
    let places: Vec<_> =
        documents.iter().map(|document| (&document["kind"], &document["metadata"])).collect();
    let metadata = |name: &str, namespace: &str| json!({"name": name, "namespace": namespace});
    let (role, binding) = ("poddns-pods", "poddns-pods:jane--j--doe");
    assert_eq!(
        places,
        [
            (&json!("Role"), &metadata(role, "null")),
            (&json!("RoleBinding"), &metadata(binding, "null")),
            (&json!("Role"), &metadata(role, "123")),
            (&json!("RoleBinding"), &metadata(binding, "123")),
        ]
    );
    assert_eq!(
        documents[0]["rules"],
        json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}])
    );
    let user = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane \"j\" doe"}]);
    assert_eq!(documents[1]["subjects"], user);
    let role_ref = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role});
    assert_eq!(documents[1]["roleRef"], role_ref);
}

#[tokio::test]
async fn old_server_names_subject_in_refusal() {
    let forbidden = |path: &str| {
        let message = "pods is forbidden: User \"system:serviceaccount:dns:poddns\" cannot watch resource \"pods\" in \
                       API group \"\" in the namespace \"web\"";
        path.starts_with("/api/v1/namespaces/web/pods?").then(|| failure(403, message))
    };
    let (cluster, asked) = cluster(move |path, body| {
        forbidden(path).unwrap_or_else(|| api(path, body, None, |verb, _, _| verb == "list"))
    });
    let access = cluster.access(&needed(&scope(true, &["web"]))).await.expect("it answers");
    assert_eq!(access.subject, Some(Subject::of(ACCOUNT)));
    let asked = asked.lock().expect("no panic");
    let (_, attempt, _) = asked.last().expect("it was asked");
    assert!(attempt.contains("watch=true") && attempt.contains("timeoutSeconds=1"), "{attempt}");
}

#[tokio::test]
async fn unknown_subject_is_left_to_operator() {
    let (cluster, _) = cluster(|path, body| api(path, body, None, |_, _, _| false));
    let access = cluster.access(&needed(&scope(false, &[]))).await.expect("it answers");
    assert_eq!(access.subject, None);
    let yaml = access.missing_rbac().expect("something is missing");
    assert!(yaml.contains("\n# The API server does not report our user"), "{yaml}");
    assert!(yaml.contains("\n  name: \"poddns-namespaces\"\n"), "{yaml}");
    assert!(serde_saphyr::from_multiple::<Value>(&yaml).is_ok(), "{yaml}");
}

#[tokio::test]
async fn errors_name_cause_and_remedy() {
    let text = |answer: (u16, Value)| async move {
        let (cluster, _) = cluster(move |_, _| answer.clone());
        cluster.access(&needed(&scope(true, &[]))).await.expect_err("no answer of use").to_string()
    };
    let unauthorized = text(failure(401, "Unauthorized")).await;
    assert!(
        unauthorized.contains(r#"does not accept our credentials (401 "Unauthorized")"#),
        "{unauthorized}"
    );
    let forbidden = text(failure(403, "no\nok  forged\u{1b}[31m")).await;
    assert_eq!(
        forbidden,
        r#"the API server at https://api.example:6443/ refuses to show its version: 403 "no\nok  forged\u{1b}[31m""#
    );
    let message =
        "selfsubjectaccessreviews.authorization.k8s.io is forbidden: User \"system:anonymous\" cannot create";
    let anonymous = text(failure(403, message)).await;
    assert!(
        anonymous
            .ends_with("authenticated us as system:anonymous: the configuration has no credentials for it"),
        "{anonymous}"
    );
    let not_found = text(failure(404, "nothing\nhere")).await;
    assert!(
        not_found.ends_with(
            r#"is not a Kubernetes API server: a request for its version failed: 404 "nothing\nhere""#
        ),
        "{not_found}"
    );
    let garbage = text((200, json!("welcome"))).await;
    assert!(garbage.contains("is not a Kubernetes API server"), "{garbage}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let service =
        tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, kube::Error>>());
    let cluster =
        ClusterClient { client: Client::new(service, "default"), server: "https://api.example/".to_owned() };
    let error = cluster.access(&needed(&scope(true, &[]))).await.expect_err("no answer");
    assert_eq!(
        error.to_string(),
        "cannot reach the API server at https://api.example/: no answer within 15 s"
    );
    assert!(!error.is_configuration());
}

#[test]
fn subjects_are_users_or_service_accounts() {
    assert_eq!(Subject::of("jane"), Subject::User("jane".to_owned()));
    assert_eq!(Subject::of("system:serviceaccount:x"), Subject::User("system:serviceaccount:x".to_owned()));
    assert!(Subject::of("system:anonymous").is_anonymous());
    assert!(!Subject::of(ACCOUNT).is_anonymous());
    assert_eq!(Subject::of(ACCOUNT).to_string(), "service account poddns of namespace dns");
}

#[tokio::test]
async fn addresses_are_of_one_page_per_namespace() {
    let answer = |path: &str, _: &Value| {
        if path.contains("/b/") {
            return failure(403, "pods is forbidden");
        }
        let pods = json!([
            {"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "2600:1f18::7"}],
                        "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}]}},
            {"status": {"phase": "Pending"}},
            {"spec": {}},
            {"status": {"podIP": "odd"}},
        ]);
        (200, json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": "more"}, "items": pods}))
    };
    let (api, asked) = cluster(answer);
    let found = api.addresses(&[]).await.expect("listed");
    let expected: [IpAddr; 3] =
        [[10, 0, 0, 1].into(), [192, 0, 2, 1].into(), "2600:1f18::7".parse().expect("an address")];
    assert_eq!(found, expected);
    let names = scope(true, &["a", "c", "d", "e", "f", "g", "h", "i", "j"]).namespaces;
    api.addresses(&names).await.expect("listed");
    let asked: Vec<String> =
        asked.lock().expect("no panic").iter().map(|(_, path, _)| path.clone()).collect();
    assert_eq!(asked[0], "/api/v1/pods?&limit=500");
    assert_eq!(asked[1], "/api/v1/namespaces/a/pods?&limit=500");
    assert_eq!(asked.len(), 9, "{asked:?}");
    let error = api.addresses(&scope(true, &["b"]).namespaces).await.expect_err("forbidden");
    assert!(error.to_string().contains("refuses to show its pods: 403"), "{error}");
}
