//! poddns-core on a machine without operating system, allocator and standard library.
//!
//! The program is only linked, to be inspected: `.ci/no-panic` checks that it contains nothing of Rust's panic
//! machinery, and how large its code is. The compiler requires the panic handler below; that it is not linked proves
//! that no panic is reachable.
//!
//! All inputs pass through `black_box`, so that the code of every mode, guard and option is linked, not only of one
//! configuration.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::net::IpAddr;
use core::panic::PanicInfo;
use core::time::Duration;

use poddns_core::podip::PodIpLabel;
use poddns_core::{
    Config, CookieSecrets, Freshness, IpCidr, Label, MAX_UDP_REPLY, Mode, Name, Outcome, Owner, PodLookup,
    Request, Transport, Ttl, Unknown, Zone, respond,
};

/// A few pods in an array.
struct Table<'a>(&'a [(Label, Label, IpAddr)]);

impl PodLookup for Table<'_> {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        black_box(Ok(self.0.iter().any(|(of, _, _)| of == namespace)))
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        black_box(Ok(self.0.iter().any(|(of, _, at)| of == namespace && *at == address)))
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        let same = |(of, name, _): &&(Label, Label, IpAddr)| of == namespace && name == pod;
        self.0.iter().filter(same).for_each(|(_, _, address)| each(*address));
        black_box(Ok(()))
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        let mut owners = self.0.iter().filter(|(_, _, at)| *at == address);
        Ok(match (owners.next(), owners.next()) {
            (None, _) => Owner::None,
            (Some((namespace, name, _)), None) => Owner::Pod { namespace: *namespace, name: Some(*name) },
            (Some(_), Some(_)) => Owner::Shared,
        })
    }

    fn freshness(&self) -> Freshness {
        black_box(Freshness::Stale { age: Duration::from_secs(1) })
    }

    fn serial(&self) -> u32 {
        black_box(1)
    }
}

/// Answers a query; query, buffer and settings are opaque to the compiler. Returns the length of the response in
/// octets.
fn answer() -> Option<usize> {
    let zones =
        [Zone::new(black_box("cluster.local")).ok()?.with_ns(black_box("ns.example").parse::<Name>().ok()?)];
    let label = black_box("default").parse::<Label>().ok()?;
    let address = black_box(IpAddr::from([10, 42, 2, 46]));
    let pods = [(label, label, address)];
    let secrets = CookieSecrets { current: black_box([1; 16]), previous: black_box(Some([2; 16])) };
    let cidrs: [IpCidr; 1] = [IpCidr::new(address, black_box(16)).ok()?];
    let labels = [label];

    let mut config = Config::new(black_box(Mode::Verified), &zones);
    config.ttl = Ttl::from_secs(black_box(5))?;
    config.pod_cidrs = black_box(&cidrs);
    config.block_special = black_box(true);
    config.namespaces = black_box(&labels);
    config.check_namespaces = black_box(true);
    config.pod_names = black_box(true);
    config.max_staleness = black_box(Some(Duration::from_mins(1)));
    config.cookies = black_box(Some(&secrets));
    config.nsid = black_box(Some(b"here"));
    config.tcp_keepalive = black_box(Some(100));
    config.chaos_version = black_box(Some("poddns"));
    config.chaos_id = black_box(Some("one"));

    let query = black_box([0; 512]);
    let len = black_box(query.len());
    let request = Request::new(black_box(Transport::Udp), address, black_box(0));
    let mut out = black_box([0; MAX_UDP_REPLY]);
    let outcome =
        respond(black_box(&config), &Table(black_box(&pods)), query.get(..len)?, &request, &mut out);
    black_box(&out);
    #[cfg(feature = "planted-panic")]
    black_box(out[black_box(len)]);
    black_box(PodIpLabel::from(address).as_bytes());
    match outcome {
        Outcome::Reply(reply) => Some(reply.len),
        _ => None,
    }
}

/// The entry point of the program.
// SAFETY: no other symbol of this program has the name.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    loop {
        black_box(answer());
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    a_panic_is_linked(info)
}

/// Never inlined, so that its name is among the symbols if any panic is reachable.
#[inline(never)]
fn a_panic_is_linked(info: &PanicInfo<'_>) -> ! {
    loop {
        black_box(info);
    }
}
