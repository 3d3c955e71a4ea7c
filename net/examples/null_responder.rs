//! Answers every datagram with the same record: the lower bound that `benches/src/bin/end_to_end.rs` compares poddnsd
//! with.
//!
//! ```sh
//! cargo run --release --features floor --example null_responder -- 127.0.0.1:5300
//! dig @127.0.0.1 -p 5300 +noedns 10-100-100-100.team-100.pod.cluster.local
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;

use poddns_net::floor::Floor;

/// An answer of poddnsd with ID 0, as long as the answers in measurements of poddnsd.
const ANSWER: &[u8] = b"\0\0\x85\0\0\x01\0\x01\0\0\0\0\
    \x0e10-100-100-100\x08team-100\x03pod\x07cluster\x05local\0\0\x01\0\x01\
    \xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x64\x64\x64";

fn main() -> ExitCode {
    let Some(Ok(address)) = std::env::args().nth(1).map(|address| address.parse::<SocketAddr>()) else {
        eprintln!("null_responder: an address to listen on is needed, such as 127.0.0.1:5300");
        return ExitCode::from(64);
    };
    let ended = Floor::bind(address).and_then(|floor| {
        floor.answer_all(|query, _, out| {
            // A client matches an answer to its query by the ID.
            let id = query.get(..2)?;
            let reply = out.get_mut(..ANSWER.len())?;
            reply.copy_from_slice(ANSWER);
            reply.get_mut(..2)?.copy_from_slice(id);
            Some(ANSWER.len())
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("null_responder: cannot answer on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
