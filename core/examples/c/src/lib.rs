//! poddns-core for C: `poddns_zone_init` once, then `poddns_respond` per packet. See `poddns.h`, which is generated
//! from this file, and `main.c`, which uses it.
//!
//! It allocates nothing, keeps no state, starts no thread, and never panics: faults in a query result in an error
//! response, and faults in the arguments in a return value, except for invalid pointers. All functions may be called
//! from any number of threads at once.
#![no_std]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{align_of, size_of};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::panic::PanicInfo;
use core::ptr;
use core::slice;

use poddns_core::{Config, Label, Mode, Outcome, PodLookup, Request, Transport, Ttl, Unknown, Zone, respond};

/// Mode disabled: no pod records.
pub const PODDNS_DISABLED: u8 = 0;
/// Mode insecure: the answer is the address in the name, whether or not a pod has it.
pub const PODDNS_INSECURE: u8 = 1;
/// Mode verified: the answer is the address in the name if a pod of that namespace has it.
pub const PODDNS_VERIFIED: u8 = 2;

/// A UDP datagram: responses of at most 1232 octets.
pub const PODDNS_UDP: u8 = 0;
/// A message of a TCP stream, without the two length octets: responses of at most 65535 octets.
pub const PODDNS_TCP: u8 = 1;

/// Size of a zone, in words of 8 octets.
pub const PODDNS_ZONE_WORDS: usize = 160;

/// Maximum length of a response over UDP, in octets. A smaller buffer may cause truncation.
pub const PODDNS_MAX_UDP_REPLY: usize = 1232;

/// A zone, initialised by poddns_zone_init. It may be copied and moved, and owns no resources.
#[repr(C)]
pub struct PoddnsZone {
    opaque: [u64; PODDNS_ZONE_WORDS],
}

const _: () = {
    assert!(size_of::<Zone>() <= size_of::<PoddnsZone>());
    assert!(align_of::<Zone>() <= align_of::<PoddnsZone>());
    assert!(PODDNS_MAX_UDP_REPLY == poddns_core::MAX_UDP_REPLY);
};

/// The pods of the cluster, for mode verified. Labels are in lower case and not terminated.
#[repr(C)]
pub struct PoddnsPods {
    /// Passed on to both functions.
    pub context: *mut c_void,
    /// Returns 1 if the cluster has this namespace, 0 if not, and a negative number if the lookup fails, for which
    /// the response is SERVFAIL.
    pub namespace_exists:
        Option<unsafe extern "C" fn(context: *mut c_void, name: *const u8, name_len: usize) -> c_int>,
    /// Returns 1 if a pod of this namespace has this address (4 or 16 octets, in network order), 0 if not, and a
    /// negative number if the lookup fails.
    pub contains: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            namespace_name: *const u8,
            namespace_len: usize,
            address: *const u8,
            address_len: usize,
        ) -> c_int,
    >,
}

/// Settings of the responder.
#[repr(C)]
pub struct PoddnsConfig {
    /// From poddns_zone_init.
    pub zone: *const PoddnsZone,
    /// NULL unless the mode is verified.
    pub pods: *const PoddnsPods,
    /// PODDNS_DISABLED, PODDNS_INSECURE or PODDNS_VERIFIED.
    pub mode: u8,
    /// True if loopback, link-local, multicast and other special addresses are never answered.
    pub block_special: bool,
    /// TTL of address records, in seconds: at most 3600.
    pub ttl: u16,
}

/// Client and transport of a query.
#[repr(C)]
pub struct PoddnsClient {
    /// 4 or 16 octets, in network order.
    pub address: *const u8,
    /// 4 or 16.
    pub address_len: usize,
    /// PODDNS_UDP or PODDNS_TCP.
    pub transport: u8,
}

/// Initialises the zone of a cluster domain such as "cluster.local".
///
/// Returns 0, or -1 if a pointer is NULL or the domain is malformed or too long.
///
/// # Safety
///
/// `zone` is NULL or points to writable memory for a zone; `domain` is NULL or a terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn poddns_zone_init(zone: *mut PoddnsZone, domain: *const c_char) -> c_int {
    if zone.is_null() || domain.is_null() {
        return -1;
    }
    // SAFETY: not NULL, so a terminated string (required of the caller).
    let domain = unsafe { CStr::from_ptr(domain) };
    let Some(made) = domain.to_str().ok().and_then(|domain| Zone::new(domain).ok()) else {
        return -1;
    };
    // SAFETY: not NULL, so memory for a PoddnsZone (required of the caller), in which a Zone fits (asserted above).
    unsafe { ptr::write(zone.cast::<Zone>(), made) };
    0
}

/// Writes the response to one query to the start of the buffer `reply`.
///
/// Returns the length of the response. Returns 0 if there is no response to send: the packet is not a query, or an
/// argument is invalid (a required pointer is NULL, the mode or transport is unknown, the TTL is above 3600, the
/// length of the address is neither 4 nor 16, or the buffer has less than 512 octets).
///
/// # Safety
///
/// Every pointer is NULL or valid for its type and length until the function returns; poddns_zone_init initialised
/// the zone; `reply` overlaps no other argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn poddns_respond(
    config: *const PoddnsConfig,
    client: *const PoddnsClient,
    query: *const u8,
    query_len: usize,
    reply: *mut u8,
    reply_len: usize,
) -> usize {
    // SAFETY: each is NULL or points to such a struct (required of the caller).
    let (Some(config), Some(client)) = (unsafe { config.as_ref() }, unsafe { client.as_ref() }) else {
        return 0;
    };
    if query.is_null() || reply.is_null() || config.zone.is_null() {
        return 0;
    }
    // SAFETY: not NULL, so made by poddns_zone_init, which has written a Zone there.
    let zone = unsafe { &*config.zone.cast::<Zone>() };
    // SAFETY: not NULL, so of these lengths, and `reply` overlaps nothing (required of the caller).
    let (query, reply) =
        unsafe { (slice::from_raw_parts(query, query_len), slice::from_raw_parts_mut(reply, reply_len)) };
    // SAFETY: the address has the stated length (required of the caller).
    let source = unsafe { address(client.address, client.address_len) };
    // SAFETY: NULL, or pods with functions that satisfy their contract (required of the caller).
    let pods = Callbacks(unsafe { config.pods.as_ref() });
    answer(config, zone, &pods, client.transport, source, query, reply).unwrap_or(0)
}

/// The part of `poddns_respond` without pointers. Returns `None` if an argument is invalid.
fn answer(
    settings: &PoddnsConfig,
    zone: &Zone,
    pods: &Callbacks<'_>,
    transport: u8,
    source: Option<IpAddr>,
    query: &[u8],
    reply: &mut [u8],
) -> Option<usize> {
    let mode = match settings.mode {
        PODDNS_DISABLED => Mode::Disabled,
        PODDNS_INSECURE => Mode::Insecure,
        PODDNS_VERIFIED if pods.0.is_some() => Mode::Verified,
        _ => return None,
    };
    let transport = match transport {
        PODDNS_UDP => Transport::Udp,
        PODDNS_TCP => Transport::Tcp,
        _ => return None,
    };
    let mut config = Config::new(mode, slice::from_ref(zone));
    config.ttl = Ttl::from_secs(settings.ttl)?;
    config.block_special = settings.block_special;
    // The time is used by cookies only, which this interface does not have.
    match respond(&config, pods, query, &Request::new(transport, source?, 0), reply) {
        Outcome::Reply(sent) => Some(sent.len),
        _ => None,
    }
}

/// # Safety
///
/// `octets` is NULL or points to `len` octets.
unsafe fn address(octets: *const u8, len: usize) -> Option<IpAddr> {
    if octets.is_null() {
        return None;
    }
    match len {
        // SAFETY: not NULL, so four octets; arrays of octets need no alignment.
        4 => Some(Ipv4Addr::from(unsafe { *octets.cast::<[u8; 4]>() }).into()),
        // SAFETY: as above, with sixteen octets.
        16 => Some(Ipv6Addr::from(unsafe { *octets.cast::<[u8; 16]>() }).into()),
        _ => None,
    }
}

/// Converts the return value of a C function.
fn known(answer: c_int) -> Result<bool, Unknown> {
    if answer < 0 { Err(Unknown) } else { Ok(answer > 0) }
}

/// Pods of the C program; none without functions.
struct Callbacks<'a>(Option<&'a PoddnsPods>);

impl PodLookup for Callbacks<'_> {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        let Some(pods) = self.0 else { return Ok(false) };
        let (Some(exists), name) = (pods.namespace_exists, namespace.as_bytes()) else { return Ok(false) };
        // SAFETY: the octets live during the call; the function satisfies its contract (required of poddns_respond's
        // caller).
        known(unsafe { exists(pods.context, name.as_ptr(), name.len()) })
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        let Some(pods) = self.0 else { return Ok(false) };
        let (Some(contains), name) = (pods.contains, namespace.as_bytes()) else { return Ok(false) };
        let ask = |octets: &[u8]| {
            // SAFETY: as above.
            unsafe { contains(pods.context, name.as_ptr(), name.len(), octets.as_ptr(), octets.len()) }
        };
        known(match address {
            IpAddr::V4(v4) => ask(&v4.octets()),
            IpAddr::V6(v6) => ask(&v6.octets()),
        })
    }
}

/// Required by the compiler; unreachable, as `.ci/c-abi` checks.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    a_panic_is_linked(info)
}

#[inline(never)]
fn a_panic_is_linked(info: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::black_box(info);
    }
}
