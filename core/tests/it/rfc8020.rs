//! RFC 8020: NXDOMAIN means that no name below exists either.

use poddns_core::Mode;
use poddns_core::wire::Rtype;

use crate::support::cluster::label;
use crate::support::{CLUSTER, Server};

/// 2: a name with descendants exists, so the names between a pod and the apex are NODATA.
#[test]
fn names_above_pods_exist() {
    for mode in [Mode::Insecure, Mode::Verified] {
        let server = Server::new(mode);
        for pod in &CLUSTER.pods {
            let above = format!("{}.pod.cluster.local", pod.namespace);
            assert_eq!(server.summary(&above, Rtype::A), "NODATA");
            assert_eq!(server.summary("pod.cluster.local", Rtype::A), "NODATA");
        }
    }
}

/// 2: no name exists below a name that does not exist.
#[test]
fn nothing_is_below_a_name_error() {
    let listed = [label("default")];
    for server in [
        Server::new(Mode::Disabled),
        Server::new(Mode::Insecure).with(|config| config.check_namespaces = true),
        Server::new(Mode::Insecure).with(|config| config.namespaces = &listed),
        Server::new(Mode::Verified),
        Server::new(Mode::Verified).with(|config| config.pod_names = true),
    ] {
        for namespace in ["nowhere", "de_fault", "-", "*"] {
            let above = format!("{namespace}.pod.cluster.local");
            assert_eq!(server.summary(&above, Rtype::A), "NXDOMAIN", "{above}");
            for below in ["10-244-1-5", "fd00--1", "web-1", "a.10-244-1-5"] {
                assert_eq!(
                    server.summary(&format!("{below}.{above}"), Rtype::A),
                    "NXDOMAIN",
                    "{below}.{above}"
                );
            }
        }
    }
}

/// Names below a pod's name are NXDOMAIN as well, not NODATA.
#[test]
fn nothing_is_below_a_pod() {
    for mode in [Mode::Insecure, Mode::Verified] {
        let server = Server::new(mode);
        for below in ["a", "a.b", "_http._tcp", "10-244-1-5", "*"] {
            let name = format!("{below}.10-244-1-5.default.pod.cluster.local");
            assert_eq!(server.summary(&name, Rtype::A), "NXDOMAIN", "{name}");
        }
    }
}
