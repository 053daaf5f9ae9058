//! Prints a token with the standard library alone. The least that it takes,
//! and no more: no retries, no limits, no checks.

use std::{
    env,
    error::Error,
    io::{Read, Write},
    net::TcpStream,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(env::var("GCE_METADATA_HOST")?)?;
    stream.write_all(
        b"GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.0\r\n\
          Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n",
    )?;
    let mut answer = [0; 2048];
    let mut end = 0;
    while !answer[..end].ends_with(b"}") {
        let read = stream.read(&mut answer[end..])?;
        if read == 0 {
            return Err("cut short".into());
        }
        end += read;
    }
    let answer = str::from_utf8(&answer[..end])?;
    let token = answer
        .split_once("\"access_token\":\"")
        .and_then(|(_, rest)| rest.split('"').next());
    println!("{}", token.ok_or("no token")?);
    Ok(())
}
