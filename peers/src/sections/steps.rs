//! What the system takes for the steps that stand between a task and a thread
//! that does its work: what the floor of an `await` would have to add.

use std::{
    hint::black_box,
    io,
    net::UdpSocket,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use tokio::{runtime::Runtime, sync::Notify};

use crate::{contestant::Failure, report::Report, spread::Spread};

const ROUNDS: usize = 300;
/// The stack of the library's own threads, in bytes.
const STACK: usize = 512 * 1024;

/// Microseconds of each step.
#[derive(Clone, Debug)]
pub struct Steps {
    call: Spread,
    start: Spread,
    life: Spread,
    threads: Spread,
    task: Spread,
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}

fn start<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<thread::JoinHandle<R>> {
    let builder = thread::Builder::new().name("step".to_owned());
    builder.stack_size(STACK).spawn(work)
}

/// From the call that starts a thread to the first thing it does, and to its
/// end.
fn life() -> Result<(f64, f64), Failure> {
    let begun = Instant::now();
    let thread = start(move || micros(begun))?;
    let started = thread.join().map_err(|_| "what does nothing panicked")?;
    Ok((started, micros(begun)))
}

/// Measures.
///
/// # Errors
/// If no thread can start.
pub fn measure(runtime: &Runtime) -> Result<Steps, Failure> {
    let (there, calls) = mpsc::channel::<()>();
    let (answers, back) = mpsc::channel();
    let told = Arc::new(Notify::new());
    let task = {
        let (told, answers) = (Arc::clone(&told), answers.clone());
        runtime.spawn(async move {
            loop {
                told.notified().await;
                if answers.send(()).is_err() {
                    return;
                }
            }
        })
    };
    let echo = start(move || while calls.recv().is_ok() && answers.send(()).is_ok() {})?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut seen: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..10 {
            black_box(socket.set_nonblocking(false))?;
        }
        seen[0].push(micros(begun) / 10.0);
        let (started, ended) = life()?;
        seen[1].push(started);
        seen[2].push(ended);
        let begun = Instant::now();
        there.send(())?;
        back.recv()?;
        seen[3].push(micros(begun));
        let begun = Instant::now();
        told.notify_one();
        back.recv()?;
        seen[4].push(micros(begun));
    }
    task.abort();
    drop(there);
    echo.join().map_err(|_| "what does nothing panicked")?;
    let [call, start, life, threads, task] = seen.map(Spread::of);
    Ok(Steps {
        call,
        start,
        life,
        threads,
        task,
    })
}

impl Steps {
    /// Adds a table of them.
    pub fn tell(&self, report: &mut Report) {
        let rows = [
            ("a small system call", &self.call),
            ("a thread is started, and begins", &self.start),
            ("a thread is started, does nothing and ends", &self.life),
            (
                "a thread that waits is woken by another, and wakes it",
                &self.threads,
            ),
            (
                "a task of tokio is woken by a thread, and wakes it",
                &self.task,
            ),
        ];
        let rows = rows.map(|(step, time)| vec![step.to_owned(), time.to_string()]);
        report.table(&["step", "µs"], rows);
    }
}
