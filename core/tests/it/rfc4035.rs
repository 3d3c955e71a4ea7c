//! RFC 4035: the AD and CD bits at a server without signed zones.

use poddns_core::Mode;

use crate::support::Server;
use crate::support::query::Query;
use crate::support::response::AA;

/// 3.1.6: an authoritative server "SHOULD clear the CD bit", and must not set AD for data that it has not verified.
#[test]
fn ad_and_cd_are_clear() {
    for name in ["10-244-1-5.default.pod.cluster.local", "nowhere.pod.cluster.local"] {
        for flags in [0x0010, 0x0020, 0x0030] {
            let response = Server::new(Mode::Verified).udp(&Query::new(name, 1).flags(flags).octets());
            assert_eq!(response.flags, 0x8000 | AA, "{flags:#x}");
        }
    }
}
