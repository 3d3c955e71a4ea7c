//! The zone handler.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use hickory_server::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_server::proto::rr::{LowerName, Name, RecordType, TSigResponseContext};
use hickory_server::server::{Request, RequestInfo};
use hickory_server::zone_handler::{
    AuthLookup, AxfrPolicy, LookupControlFlow, LookupError, LookupOptions, LookupRecords, ZoneHandler,
    ZoneType,
};
use poddns_core::{Config, Mode, Outcome, PodLookup, Transport, Zone, respond};

/// The pods of one cluster domain.
pub(crate) struct PodZone<P> {
    zones: [Zone; 1],
    mode: Mode,
    pods: P,
    origin: LowerName,
}

/// Buffer size for an answer, in octets: a pod has at most a handful of addresses, of 28 octets each.
const ROOM: usize = 4096;

impl<P: PodLookup> PodZone<P> {
    /// Returns the zone `pod.<domain>`.
    pub(crate) fn new(domain: &str, mode: Mode, pods: P) -> Result<Self, Box<dyn Error>> {
        let zone = Zone::new(domain)?;
        let origin = LowerName::new(&Name::from_ascii(zone.apex().to_string())?);
        Ok(Self { zones: [zone], mode, pods, origin })
    }

    /// The zone's name in a catalog.
    pub(crate) fn origin_name(&self) -> LowerName {
        self.origin.clone()
    }

    /// Calls poddns-core and converts its answer.
    fn ask(&self, query: &[u8], source: IpAddr) -> LookupControlFlow<AuthLookup> {
        let config = Config::new(self.mode, &self.zones);
        let mut reply = [0; ROOM];
        // As over TCP: all records are needed, and hickory-server truncates if necessary. No cookies, so no time.
        let request = poddns_core::Request::new(Transport::Tcp, source, 0);
        let Outcome::Reply(sent) = respond(&config, &self.pods, query, &request, &mut reply) else {
            return LookupControlFlow::Skip;
        };
        let Ok(message) = Message::from_vec(&reply[..sent.len]) else {
            return LookupControlFlow::Skip;
        };
        match message.metadata.response_code {
            ResponseCode::NoError if message.answers.is_empty() => {
                LookupControlFlow::Break(Err(LookupError::NameExists))
            }
            ResponseCode::NoError => {
                let records = LookupRecords::Section(message.answers);
                LookupControlFlow::Break(Ok(AuthLookup::answers(records, None)))
            }
            code @ (ResponseCode::NXDomain | ResponseCode::Refused) => {
                LookupControlFlow::Break(Err(code.into()))
            }
            // A catalog turns any other error into NODATA, which would deny pods that are not known yet. If all
            // handlers skip the query, it responds with SERVFAIL.
            _ => LookupControlFlow::Skip,
        }
    }
}

#[async_trait::async_trait]
impl<P: PodLookup + Send + Sync> ZoneHandler for PodZone<P> {
    fn zone_type(&self) -> ZoneType {
        ZoneType::Primary
    }

    fn axfr_policy(&self) -> AxfrPolicy {
        AxfrPolicy::Deny
    }

    fn origin(&self) -> &LowerName {
        &self.origin
    }

    /// Called for the catalog's own look-ups: SOA and NS of the zone.
    async fn lookup(
        &self,
        name: &LowerName,
        rtype: RecordType,
        _: Option<&RequestInfo<'_>>,
        _: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        let mut query = Message::new(0, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(name.into(), rtype));
        match query.to_vec() {
            Ok(query) => self.ask(&query, Ipv4Addr::LOCALHOST.into()),
            Err(error) => LookupControlFlow::Break(Err(error.into())),
        }
    }

    /// Called for clients: their query is passed on unchanged, so the owner keeps its letter case.
    async fn search(
        &self,
        request: &Request,
        _: LookupOptions,
    ) -> (LookupControlFlow<AuthLookup>, Option<TSigResponseContext>) {
        (self.ask(request.as_slice(), request.src().ip()), None)
    }

    /// The zone is not signed.
    async fn nsec_records(&self, _: &LowerName, _: LookupOptions) -> LookupControlFlow<AuthLookup> {
        LookupControlFlow::Skip
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hickory_server::Server;
    use hickory_server::proto::rr::RData;
    use hickory_server::zone_handler::Catalog;
    use poddns_core::{Freshness, Label, NoPods, Unknown};
    use tokio::net::UdpSocket;

    use super::*;

    /// Sends a query to a catalog with this zone over a real socket.
    async fn answer<P: PodLookup + Send + Sync + 'static>(
        zone: PodZone<P>,
        name: &str,
        rtype: RecordType,
    ) -> Message {
        let mut catalog = Catalog::new();
        catalog.upsert(zone.origin_name(), vec![Arc::new(zone)]);
        let mut server = Server::new(catalog);
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("its number");
        server.register_socket(socket);

        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
        client.send_to(&query.to_vec().expect("a query"), address).await.expect("sent");
        let mut reply = [0; ROOM];
        let received = tokio::time::timeout(Duration::from_secs(30), client.recv(&mut reply)).await;
        let len = received.expect("an answer in time").expect("an answer");
        Message::from_vec(&reply[..len]).expect("a message")
    }

    fn insecure() -> PodZone<NoPods> {
        PodZone::new("cluster.local", Mode::Insecure, NoPods).expect("a zone")
    }

    #[tokio::test]
    async fn address_in_name_is_answered() {
        let reply = answer(insecure(), "10-42-2-46.Default.pod.cluster.local.", RecordType::A).await;
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert!(reply.metadata.authoritative);
        let [record] = &reply.answers[..] else { panic!("one record, not {:?}", reply.answers) };
        assert_eq!(record.data, RData::A("10.42.2.46".parse().expect("an address")));
        assert_eq!(record.name.to_ascii(), "10-42-2-46.Default.pod.cluster.local.");
        assert_eq!(record.ttl, 5);
    }

    #[tokio::test]
    async fn negative_answers_have_the_soa() {
        for (name, rtype, rcode) in [
            ("10-42-2-46.default.pod.cluster.local.", RecordType::AAAA, ResponseCode::NoError),
            ("default.pod.cluster.local.", RecordType::A, ResponseCode::NoError),
            ("not-an-address.default.pod.cluster.local.", RecordType::A, ResponseCode::NXDomain),
        ] {
            let reply = answer(insecure(), name, rtype).await;
            assert_eq!(reply.metadata.response_code, rcode, "{name}");
            assert!(reply.answers.is_empty(), "{name}");
            let [soa] = &reply.authorities[..] else {
                panic!("{name}: one SOA, not {:?}", reply.authorities)
            };
            assert_eq!((soa.record_type(), soa.ttl), (RecordType::SOA, 5), "{name}");
            assert_eq!(soa.name.to_ascii(), "pod.cluster.local.", "{name}");
        }
    }

    #[tokio::test]
    async fn names_outside_the_zone_are_refused() {
        let reply = answer(insecure(), "www.example.com.", RecordType::A).await;
        assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
    }

    /// Pods of an index before the first list.
    struct Unsynced;

    impl PodLookup for Unsynced {
        fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
            Ok(false)
        }
        fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
            Ok(false)
        }
        fn freshness(&self) -> Freshness {
            Freshness::Unsynced
        }
    }

    #[tokio::test]
    async fn names_fail_before_first_sync() {
        let zone = PodZone::new("cluster.local", Mode::Verified, Unsynced).expect("a zone");
        let reply = answer(zone, "10-42-2-46.default.pod.cluster.local.", RecordType::A).await;
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    }
}
