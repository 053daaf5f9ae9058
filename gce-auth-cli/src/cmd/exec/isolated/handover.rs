//! Messages between the process outside and the one inside, by a pair of Unix sockets. Each carries
//! one file descriptor at most.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
        sendmsg, socketpair,
    },
};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The standard input of the program.
    Input,
    /// The socket of the metadata server.
    Metadata,
    /// The socket of the metadata server for HTTPS.
    Https,
    /// The socket of the APIs.
    Apis,
    /// The socket of a port that is relayed.
    Port(u16),
    /// All sockets are there; or all is served.
    Done,
}

impl Subject {
    fn bytes(self) -> [u8; 3] {
        let (kind, port) = match self {
            Self::Input => (b'i', 0),
            Self::Metadata => (b'm', 0),
            Self::Https => (b's', 0),
            Self::Apis => (b'a', 0),
            Self::Port(port) => (b'p', port),
            Self::Done => (b'd', 0),
        };
        let [high, low] = u16::to_be_bytes(port);
        [kind, high, low]
    }

    fn of([kind, high, low]: [u8; 3]) -> Option<Self> {
        Some(match kind {
            b'i' => Self::Input,
            b'm' => Self::Metadata,
            b's' => Self::Https,
            b'a' => Self::Apis,
            b'p' => Self::Port(u16::from_be_bytes([high, low])),
            b'd' => Self::Done,
            _ => return None,
        })
    }
}

/// Returns the two ends.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends a message.
pub(super) fn send(
    end: impl AsFd,
    subject: Subject,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.as_slice();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let bytes = subject.bytes();
    sendmsg(
        end,
        &[IoSlice::new(&bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives a message; `None` if the other end is gone.
pub(super) fn receive(end: impl AsFd) -> io::Result<Option<(Subject, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 3];
    let received = loop {
        let mut into = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&end, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let cut = received.flags.contains(ReturnFlags::CTRUNC);
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "a message is broken");
    let subject = Subject::of(bytes).filter(|_| received.bytes == 3 && !cut);
    let subject = subject.ok_or_else(broken)?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.next().and_then(|mut these| these.next());
    Ok(Some((subject, descriptor)))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write, thread};

    use super::*;

    #[test]
    fn descriptors_arrive_with_what_they_are_for() {
        let (a, b) = pair().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        send(&a, Subject::Port(8443), Some(reader.as_fd())).unwrap();
        send(&a, Subject::Done, None).unwrap();
        drop((a, reader));
        let (subject, descriptor) = receive(&b).unwrap().unwrap();
        assert_eq!(subject, Subject::Port(8443));
        writer.write_all(b"through").unwrap();
        drop(writer);
        let file = File::from(descriptor.unwrap());
        assert_eq!(io::read_to_string(file).unwrap(), "through");
        let (subject, descriptor) = receive(&b).unwrap().unwrap();
        assert!(subject == Subject::Done && descriptor.is_none());
        assert!(receive(&b).unwrap().is_none());
        assert!(send(&b, Subject::Done, None).is_err());
    }

    #[test]
    fn other_messages_are_refused() {
        let (a, b) = pair().unwrap();
        for text in [&b"x00"[..], b"d", b"d000"] {
            rustix::io::write(&a, text).unwrap();
        }
        // A longer message is cut to its beginning, which is one.
        assert!(receive(&b).is_err());
        assert!(receive(&b).is_err());
        assert!(receive(&b).is_ok());
        let waiting = thread::spawn(move || receive(&b).unwrap().is_none());
        drop(a);
        assert!(waiting.join().unwrap());
    }
}
