//! The example `udp` over a real socket.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

#[path = "../../examples/udp.rs"]
#[expect(dead_code, reason = "its main, which binds a fixed port")]
mod udp;

#[test]
fn answers_one_client_after_another() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("its number");
    thread::spawn(move || udp::serve(&server, &udp::Pods::example()).expect("it does not end"));

    for (client, code) in
        [(46, ResponseCode::NoError), (47, ResponseCode::NoError), (48, ResponseCode::NXDomain)]
    {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        let mut query = Message::new(client, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii(format!("10-42-2-{client}.default.pod.cluster.local.")).expect("a name");
        query.add_query(Query::query(name, RecordType::A));
        // Malformed data first: it must not affect the server or the client.
        socket.send_to(&[0xff; 5], address).expect("sent");
        socket.send_to(&query.to_vec().expect("octets"), address).expect("sent");

        let mut reply = [0; 1232];
        let len = socket.recv(&mut reply).expect("an answer in time");
        let reply = Message::from_vec(&reply[..len]).expect("a message");
        assert_eq!((reply.metadata.id, reply.metadata.response_code), (client, code));
        let wanted = Ipv4Addr::new(10, 42, 2, client.to_be_bytes()[1]);
        let wanted = (code == ResponseCode::NoError).then_some(RData::A(wanted.into()));
        assert_eq!(reply.answers.first().map(|record| &record.data), wanted.as_ref());
    }
}
