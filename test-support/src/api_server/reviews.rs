//! Access reviews: the client's user and its permissions.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::response::{ResponseBody, failure, json_response};

/// The user of every accepted token.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:dns:poddns";

/// The access that a review is about.
#[derive(Clone, Debug)]
pub struct ReviewedAccess {
    /// The user of the reviewed access.
    pub user: String,
    /// Groups in the review; empty if the review is about the client itself.
    pub groups: Vec<String>,
    /// The verb, such as `list`.
    pub verb: String,
    /// The resource, such as `pods`.
    pub resource: String,
    /// The namespace; `None` for all of them.
    pub namespace: Option<String>,
}

/// Returns the response to a request outside `/api/v1`.
pub(super) fn review(
    path: &str,
    mut body: Value,
    is_allowed: fn(&ReviewedAccess) -> bool,
) -> Response<ResponseBody> {
    match path {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        | "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
            let access = access(&body["spec"]);
            body["status"] = json!({"allowed": is_allowed(&access)});
        }
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            body["status"] = json!({"userInfo": {"username": SERVICE_ACCOUNT}});
        }
        _ => return failure(404, "NotFound", "the server could not find the requested resource"),
    }
    json_response(StatusCode::CREATED, &body)
}

fn access(spec: &Value) -> ReviewedAccess {
    let attributes = &spec["resourceAttributes"];
    let text = |key: &str| attributes[key].as_str().map(str::to_owned);
    let groups = spec["groups"].as_array().into_iter().flatten();
    ReviewedAccess {
        user: spec["user"].as_str().unwrap_or(SERVICE_ACCOUNT).to_owned(),
        groups: groups.filter_map(|group| Some(group.as_str()?.to_owned())).collect(),
        verb: text("verb").expect("a verb"),
        resource: text("resource").expect("a resource"),
        namespace: text("namespace"),
    }
}
