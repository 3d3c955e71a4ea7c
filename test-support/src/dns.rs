//! Queries, responses, and clients over UDP and TCP.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use hickory_proto::op::Message;

use crate::daemon::Daemon;
use crate::wait::PATIENCE;

/// Rcode 0.
pub const NOERROR: u8 = 0;
/// Rcode 2.
pub const SERVFAIL: u8 = 2;
/// Rcode 3.
pub const NXDOMAIN: u8 = 3;

/// Code of the EDNS option for extended errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// The response to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The rcode, without the extension in the OPT record.
    pub rcode: u8,
    /// Addresses of the answer section.
    pub addresses: Vec<IpAddr>,
    /// The INFO-CODE of an extended error.
    pub extended_error: Option<u16>,
}

/// Queries the name of an address in a namespace, with EDNS(0).
pub fn lookup(daemon: &Daemon, namespace: &str, address: IpAddr) -> DnsAnswer {
    let name = format!("{}.{namespace}.pod.cluster.local", address.to_string().replace(['.', ':'], "-"));
    question(daemon, &name, if address.is_ipv4() { 1 } else { 28 })
}

/// Queries the name of a namespace, which has no records.
pub fn lookup_namespace(daemon: &Daemon, namespace: &str) -> DnsAnswer {
    question(daemon, &format!("{namespace}.pod.cluster.local"), 1)
}

fn question(daemon: &Daemon, name: &str, kind: u8) -> DnsAnswer {
    let mut query = query(7, name);
    let end = query.len();
    query[end - 3] = kind;
    query[11] = 1;
    query.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    let response = ask(daemon.address(), &query);
    let edns = Message::from_vec(&response).expect("a message").edns.expect("an OPT record");
    let mut options = edns.options().as_ref().iter();
    let error = options.find(|(code, _)| u16::from(*code) == EXTENDED_ERROR).map(|(_, option)| {
        let bytes = Vec::try_from(option).expect("it was in a message");
        u16::from_be_bytes([bytes[0], bytes[1]])
    });
    DnsAnswer { rcode: rcode(&response), addresses: addresses(&response), extended_error: error }
}

/// Returns true if an address is answered by an index that is in sync with the cluster.
pub fn is_answered(daemon: &Daemon, namespace: &str, address: IpAddr) -> bool {
    lookup(daemon, namespace, address) == answered(address, None)
}

/// Returns true if an address is denied by an index that is in sync with the cluster.
pub fn is_denied(daemon: &Daemon, namespace: &str, address: IpAddr) -> bool {
    lookup(daemon, namespace, address) == denied(None)
}

/// Returns the expected response for an address that a pod has.
pub fn answered(address: IpAddr, extended_error: Option<u16>) -> DnsAnswer {
    DnsAnswer { rcode: NOERROR, addresses: vec![address], extended_error }
}

/// Returns the expected response for an address that no pod has.
pub fn denied(extended_error: Option<u16>) -> DnsAnswer {
    DnsAnswer { rcode: NXDOMAIN, addresses: Vec::new(), extended_error }
}

/// Returns the expected response for the name of an existing namespace.
pub fn no_data() -> DnsAnswer {
    DnsAnswer { rcode: NOERROR, addresses: Vec::new(), extended_error: None }
}

/// Returns a query of type A and class IN.
pub fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = Vec::from(id.to_be_bytes());
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// Returns the same query with an OPT record that has `padding` bytes of padding (RFC 7830).
pub fn padded(id: u16, name: &str, padding: u16) -> Vec<u8> {
    let mut query = query(id, name);
    query[11] = 1;
    query.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0]);
    query.extend((padding + 4).to_be_bytes());
    query.extend([0, 12]);
    query.extend(padding.to_be_bytes());
    query.resize(query.len() + usize::from(padding), 0);
    query
}

/// Returns the name of an address in namespace `default`.
pub fn name(ip: Ipv4Addr) -> String {
    format!("{}.default.pod.cluster.local", ip.to_string().replace('.', "-"))
}

/// Returns the addresses in a response.
pub fn addresses(response: &[u8]) -> Vec<IpAddr> {
    let message = Message::from_vec(response).expect("a message");
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// Returns the rcode, without the extension in the OPT record.
pub fn rcode(response: &[u8]) -> u8 {
    response[3] & 15
}

/// Returns the ID of a message.
pub fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

/// Returns a UDP socket that receives datagrams from this address only.
pub fn connect(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Returns the response to one query over UDP.
pub fn ask(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    exchange(&connect(server), query)
}

/// Returns the response to one query over this socket.
pub fn exchange(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).unwrap();
    receive(socket)
}

/// Returns the next datagram.
pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut response = vec![0; 65_535];
    let len = socket.recv(&mut response).expect("a response");
    response.truncate(len);
    response
}

/// Fails unless a server in mode `insecure` answers a query correctly.
pub fn assert_answers(server: SocketAddr) {
    let ip = Ipv4Addr::new(10, 42, 2, 46);
    assert_eq!(addresses(&ask(server, &query(1, &name(ip)))), [ip]);
}

/// A TCP client.
pub struct Stream(pub TcpStream);

impl Stream {
    /// Connects.
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Connects from another address of the loopback network.
    pub fn connect_from(client: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends a message.
    pub fn send(&mut self, message: &[u8]) {
        self.0.write_all(&frame(message)).unwrap();
    }

    /// Receives a message.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).expect("a length");
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        self.0.read_exact(&mut message).expect("a message");
        message
    }

    /// Sends a message, and returns the next one.
    pub fn exchange(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message);
        self.receive()
    }

    /// Waits until the server closes the connection, by FIN or RST.
    pub fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        assert!(rest.is_empty(), "{rest:?}");
    }
}

/// Returns a message with its length prefix.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from(u16::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

/// Binds a UDP and a TCP socket to the same free port of 127.0.0.1.
pub fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        // In rare cases another program uses the same TCP port.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("it is bound")) {
            return (udp, tcp);
        }
    }
}
