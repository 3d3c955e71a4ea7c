//! Writing of the records of a decision.

use crate::config::{Config, Mode};
use crate::decide::{Records, ReverseRecords};
use crate::lookup::{PodLookup, Unknown};
use crate::policy::{self, PodName, is_allowed};
use crate::wire::name::QuestionName;
use crate::wire::reply::{Compressed, Full, Pointer, RecordWriter, RecordsWritten, Section, Soa, Timers};
use crate::wire::{Class, Rtype};
use crate::zone::Zone;

/// Maximum TTL of SOA records, and so of negative answers, in seconds.
const MAX_NEGATIVE_TTL: u16 = 300;

/// Reason why the records of a decision cannot be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unwritten {
    /// The records do not fit.
    Full,
    /// The pod that the decision was based on is gone, or can no longer be read.
    Outdated,
    /// The driver answers the query.
    Driver,
}

impl From<Full> for Unwritten {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

/// Writes the records of a decision.
#[inline]
pub(crate) fn records<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    mut writer: RecordWriter<'_>,
    name: QuestionName<'_>,
    rtype: Rtype,
    records: Records<'_>,
) -> Result<RecordsWritten, Unwritten> {
    let ttl = config.ttl.as_secs();
    match records {
        Records::None => {}
        Records::Transfer(_) | Records::Signed => return Err(Unwritten::Driver),
        Records::Chaos(text) => writer.txt(Class::CH, text.as_bytes(), 0)?,
        Records::Negative(zone) => writer.soa(Section::Authority, &soa(config, pods, zone, name))?,
        Records::Soa(zone) => writer.soa(Section::Answer, &soa(config, pods, zone, name))?,
        Records::Ns(zone) => writer.ns(&soa(config, pods, zone, name).ns, ttl)?,
        Records::Address(address) => writer.address(address.into(), ttl)?,
        Records::Reverse { zone, apex, records } => {
            reverse(config, &pods, &mut writer, zone, Pointer::to(apex), records)?;
        }
        Records::Pod(zone, pod) => {
            if !addresses(config, pods, &mut writer, pod, rtype)? {
                writer.soa(Section::Authority, &soa(config, pods, zone, name))?;
            }
        }
    }
    Ok(writer.finish())
}

/// Writes the pod's addresses that are allowed and of type `rtype`; returns whether there are any.
///
/// The decision that the pod exists is from an earlier look-up. If this look-up finds no allowed address of any type,
/// the decision is outdated: NODATA would mean that the name exists.
fn addresses<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    writer: &mut RecordWriter<'_>,
    pod: PodName<'_>,
    rtype: Rtype,
) -> Result<bool, Unwritten> {
    // ANY is answered with one RRset (RFC 8482 4.1): that of the first address's type.
    let mut is_ipv4 = match rtype {
        Rtype::A => Some(true),
        Rtype::AAAA => Some(false),
        Rtype::ANY => None,
        _ => return Ok(false),
    };
    let ttl = config.ttl.as_secs();
    let (mut exists, mut result) = (false, Ok(false));
    let read = pod.addresses(pods, &mut |address| {
        if !is_allowed(config, address) {
            return;
        }
        exists = true;
        if result.is_ok() && *is_ipv4.get_or_insert(address.is_ipv4()) == address.is_ipv4() {
            result = writer.address(address, ttl).map(|()| true);
        }
    });
    match read {
        Ok(()) if exists => Ok(result?),
        Ok(()) | Err(Unknown) => Err(Unwritten::Outdated),
    }
}

/// Writes records of a reverse zone. Their names have no suffix in common with the question's name, so they are
/// uncompressed.
#[cold]
#[inline(never)]
fn reverse(
    config: &Config<'_>,
    pods: &dyn PodLookup,
    writer: &mut RecordWriter<'_>,
    zone: &Zone,
    apex: Pointer,
    records: ReverseRecords,
) -> Result<(), Unwritten> {
    let ttl = config.ttl.as_secs();
    let section = match records {
        ReverseRecords::Ns => return Ok(writer.ns(&Compressed::whole(zone.ns.as_wire()), ttl)?),
        ReverseRecords::Soa => Section::Answer,
        ReverseRecords::Negative => Section::Authority,
        ReverseRecords::Ptr(address) => {
            let Ok(Some((pod, namespace))) = policy::name_of(config, pods, address) else {
                return Err(Unwritten::Outdated);
            };
            if writer.ptr([pod.as_bytes(), namespace.as_bytes()], zone.apex.as_wire(), ttl)? {
                return Ok(());
            }
            // The pod's name is longer than a name can be, so there is no PTR record.
            Section::Authority
        }
    };
    let (serial, minimum) = (pods.serial(), ttl.min(MAX_NEGATIVE_TTL));
    let ns = Compressed::whole(zone.ns.as_wire());
    let mailbox = Compressed::new_whole(Zone::MAILBOX, zone.domain.as_wire());
    let timers = Timers::WITHOUT_SECONDARIES;
    writer.soa(section, &Soa { owner: apex, ns, mailbox, serial, timers, minimum })?;
    Ok(())
}

/// Returns the SOA record of a zone for the response to this question.
fn soa<'z, P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    zone: &'z Zone,
    question: QuestionName<'_>,
) -> Soa<'z> {
    // These answers do not depend on the index, which may exist for the audit alone; so its changes do not change the
    // serial.
    let shows_nothing = config.mode == Mode::Insecure && !config.check_namespaces;
    let serial = if shows_nothing { 1 } else { pods.serial() };
    soa_of(config, zone, question, serial)
}

/// Returns the SOA record of a version of a zone, compressed against the question's name, which is in the zone.
#[inline]
pub(crate) fn soa_of<'z>(
    config: &Config<'_>,
    zone: &'z Zone,
    question: QuestionName<'_>,
    serial: u32,
) -> Soa<'z> {
    let domain = Pointer::to(question.offset_of(&zone.domain));
    Soa {
        owner: Pointer::to(question.offset_of(&zone.apex)),
        ns: Compressed::below(&zone.ns, &zone.domain, domain),
        mailbox: Compressed::new(Zone::MAILBOX, domain),
        serial,
        timers: if config.transfers { Timers::WITH_SECONDARIES } else { Timers::WITHOUT_SECONDARIES },
        minimum: config.ttl.as_secs().min(MAX_NEGATIVE_TTL),
    }
}
