//! A TCP endpoint that leads to one server today and to another tomorrow, as virtual addresses and reader endpoints do.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A running proxy. Dropping it closes every connection.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

struct State {
    targets: Vec<u16>,
    next: usize,
    cut: CancellationToken,
}

impl Proxy {
    /// Forwards to these ports of 127.0.0.1, one after the other, connection by connection.
    pub async fn start(targets: &[u16]) -> Self {
        Self::start_on("127.0.0.1", targets).await
    }

    /// The same on another address of this machine.
    pub async fn start_on(address: &str, targets: &[u16]) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = State { targets: targets.to_vec(), next: 0, cut: CancellationToken::new() };
        let state = Arc::new(Mutex::new(state));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&state)));
        Self { port, state, _task: task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads further connections to these ports.
    pub fn lead_to(&self, targets: &[u16]) {
        let mut state = self.state.lock();
        (state.targets, state.next) = (targets.to_vec(), 0);
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        std::mem::take(&mut self.state.lock().cut).cancel();
    }
}

impl State {
    fn next(&mut self) -> (u16, CancellationToken) {
        let target = self.targets[self.next % self.targets.len()];
        self.next += 1;
        (target, self.cut.clone())
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let (target, cut) = state.lock().next();
        connections.spawn(async move {
            let forward = async {
                if let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await {
                    // A connection that breaks is what a proxy is for.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            };
            tokio::select! {
                () = forward => {}
                () = cut.cancelled() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
