//! Subjects of permissions.

use std::fmt;

/// The user name of a client without credentials.
pub(super) const ANONYMOUS: &str = "system:anonymous";

/// The subject of an RBAC role binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A service account.
    ServiceAccount {
        /// The account's namespace.
        namespace: String,
        /// The account's name.
        name: String,
    },
    /// Any other user.
    User(String),
}

impl Subject {
    /// Returns the groups that the API server implicitly adds to such a subject.
    pub(super) fn groups(&self) -> Vec<String> {
        let mut groups = vec!["system:authenticated".to_owned()];
        if let Self::ServiceAccount { namespace, .. } = self {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        groups
    }

    /// Returns the user name in the API server.
    pub(super) fn user_name(&self) -> String {
        match self {
            Self::ServiceAccount { namespace, name } => format!("system:serviceaccount:{namespace}:{name}"),
            Self::User(user) => user.clone(),
        }
    }

    /// Returns the subject for a user name of the API server: `system:serviceaccount:NAMESPACE:NAME` is a service
    /// account, anything else a user.
    #[must_use]
    pub fn of(user: &str) -> Self {
        let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
        match account {
            Some((namespace, name)) => {
                Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            None => Self::User(user.to_owned()),
        }
    }

    /// Returns whether the server has authenticated us as `system:anonymous`.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::User(user) if user == ANONYMOUS)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount { namespace, name } => {
                write!(f, "service account {name} of namespace {namespace}")
            }
            Self::User(user) => write!(f, "user {user}"),
        }
    }
}
