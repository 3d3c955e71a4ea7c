//! poddns-core as a WebAssembly module: `respond` answers a query in the module's memory.
//!
//! The host manages the memory above `__heap_base`, as the module allocates nothing. It also provides the pods: the
//! module imports `namespace_exists` and `contains`. `test.mjs` is such a host, for node.
#![no_std]

use core::net::{IpAddr, Ipv4Addr};
use core::panic::PanicInfo;
use core::slice;

use poddns_core::{Config, Label, Mode, Outcome, PodLookup, Request, Transport, Unknown, Zone, respond};

mod host {
    #[link(wasm_import_module = "pods")]
    unsafe extern "C" {
        /// Returns 1 if the cluster has the namespace of this name (in lower case), 0 if not, and a negative number
        /// if that is unknown at the moment.
        pub(super) safe fn namespace_exists(name: *const u8, len: usize) -> i32;
        /// Returns the same for a pod of the namespace with this address of 4 or 16 octets.
        pub(super) safe fn contains(
            name: *const u8,
            len: usize,
            address: *const u8,
            address_len: usize,
        ) -> i32;
    }
}

/// Converts the host's return value.
fn known(answer: i32) -> Result<bool, Unknown> {
    if answer < 0 { Err(Unknown) } else { Ok(answer > 0) }
}

/// The pods of the host.
struct Host;

impl PodLookup for Host {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        let name = namespace.as_bytes();
        known(host::namespace_exists(name.as_ptr(), name.len()))
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        let name = namespace.as_bytes();
        let ask = |octets: &[u8]| host::contains(name.as_ptr(), name.len(), octets.as_ptr(), octets.len());
        known(match address {
            IpAddr::V4(v4) => ask(&v4.octets()),
            IpAddr::V6(v6) => ask(&v6.octets()),
        })
    }
}

/// Answers for the cluster domain `cluster.local` in mode verified, as over UDP. Returns the length of the response
/// at `reply`, or 0 for none.
///
/// # Safety
///
/// `query` and `reply` have the stated lengths and do not overlap.
#[unsafe(export_name = "respond")]
pub unsafe extern "C" fn answer(
    query: *const u8,
    query_len: usize,
    reply: *mut u8,
    reply_len: usize,
) -> usize {
    // SAFETY: required of the host.
    let (query, reply) =
        unsafe { (slice::from_raw_parts(query, query_len), slice::from_raw_parts_mut(reply, reply_len)) };
    let Ok(zone) = Zone::new("cluster.local") else { return 0 };
    let zones = [zone];
    let config = Config::new(Mode::Verified, &zones);
    // Without cookies, client and time are unused.
    let request = Request::new(Transport::Udp, Ipv4Addr::UNSPECIFIED.into(), 0);
    match respond(&config, &Host, query, &request, reply) {
        Outcome::Reply(sent) => sent.len,
        _ => 0,
    }
}

/// Required by the compiler; unreachable.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
