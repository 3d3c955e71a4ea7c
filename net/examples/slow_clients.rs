//! Effect of 1000 slow TCP connections on the latency of answers over UDP. There should be none.
//!
//! ```sh
//! cargo run --release --example slow_clients
//! ```
//!
//! Prints percentiles of the time from a query to its answer, one query at a time, alternately without and with these
//! connections. A third of them send nothing, a third send one octet of a query every 100 ms, and a third send queries
//! and never read the answers.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use poddns_core::NoPods;
use poddns_net::{Server, Settings};

const CONNECTIONS: usize = 1000;
const QUERIES: usize = 20_000;
const ROUNDS: usize = 5;

/// A query for the NS records of the root, which is refused without a lookup of pods.
const QUERY: [u8; 17] = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    (settings.admin, settings.listen) = (Vec::new(), vec![([127, 0, 0, 1], 0).into()]);
    settings.threads = NonZeroUsize::MIN;
    settings.tcp.per_client = CONNECTIONS;
    settings.tcp.idle_timeout = Duration::from_hours(1);
    let server = Server::with_pods(settings, std::sync::Arc::new(NoPods))?;
    let address = server.addresses()[0];
    latencies(address)?;
    println!("| | p50 | p99 | p99.9 |\n|---|---|---|---|");
    for _ in 0..ROUNDS {
        print("alone", &latencies(address)?);
        let slow: Vec<TcpStream> =
            (0..CONNECTIONS).map(|_| connect(address)).collect::<io::Result<Vec<_>>>()?;
        let stop = AtomicBool::new(false);
        let with = thread::scope(|scope| {
            scope.spawn(|| harass(&slow, &stop));
            let with = latencies(address);
            stop.store(true, Ordering::Relaxed);
            with
        })?;
        print("with 1000 slow connections", &with);
    }
    server.stop();
    Ok(())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Writes to the connections every 100 ms, at most 70 kB a second in total.
fn harass(slow: &[TcpStream], stop: &AtomicBool) {
    let frame = [&[0, 17][..], &QUERY].concat();
    for turn in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
        for (number, mut stream) in slow.iter().enumerate() {
            // Errors are ignored: the buffer may be full, or the connection closed.
            let _ = match number % 3 {
                0 => Ok(0),
                1 => stream.write(&frame[turn % frame.len()..][..1]),
                _ => stream.write(&frame),
            };
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the sorted times from query to answer.
fn latencies(address: SocketAddr) -> io::Result<Vec<Duration>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    let mut times = Vec::with_capacity(QUERIES);
    for _ in 0..QUERIES {
        let start = Instant::now();
        socket.send(&QUERY)?;
        socket.recv(&mut [0; 512])?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn print(who: &str, times: &[Duration]) {
    let at = |thousandth: usize| times[times.len() * thousandth / 1000].as_secs_f64() * 1e6;
    println!("| {who} | {:.1} us | {:.1} us | {:.1} us |", at(500), at(990), at(999));
}
