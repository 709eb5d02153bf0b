//! Standard output beside libc's own buffer of it.

use super::keeping_errno;

/// Writes out what the program has left in libc's buffer.
pub(crate) fn flush_stdout() {
    unsafe extern "C" {
        static stdout: *mut libc::FILE;
    }
    // SAFETY: libc sets it before any code of ours runs.
    keeping_errno(|| unsafe { libc::fflush(stdout) });
}

/// Writes bytes to file descriptor 1, as many as it takes.
pub(crate) fn write_stdout(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are valid.
        let (written, error) = keeping_errno(|| unsafe {
            let written = libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len());
            (written, *libc::__errno_location())
        });
        match usize::try_from(written) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(_) if error == libc::EINTR => {}
            Err(_) => return,
        }
    }
}
