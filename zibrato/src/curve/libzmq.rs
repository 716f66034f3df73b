//! One call of libzmq that the `zmq` crate does not offer, and nothing else.
#![expect(unsafe_code, reason = "it is a call into C")]

use super::z85::KEY_CHARACTERS;
use std::ffi::{CString, c_char, c_int};

// The `zmq` crate links libzmq, which has had this since 4.2.
unsafe extern "C" {
    fn zmq_curve_public(z85_public_key: *mut c_char, z85_secret_key: *const c_char) -> c_int;
}

/// How to get a libzmq with CURVE.
pub(super) const HOW_TO_LINK: &str = "build with `cargo --config .cargo/system-libzmq.toml build --release`, \
     which links the system's libzmq (Debian: libzmq3-dev)";

/// The public key of a secret key, both as Z85. `None` if libzmq has no CURVE.
pub(super) fn public_of(secret: &str) -> Option<String> {
    if secret.len() != KEY_CHARACTERS {
        return None;
    }
    let secret = CString::new(secret).ok()?;
    let mut public = [0_u8; KEY_CHARACTERS + 1];
    // SAFETY: libzmq reads 40 characters and a terminating zero from the secret key, writes as many
    // into the public key, and keeps neither pointer. Both buffers have this size.
    let code = unsafe { zmq_curve_public(public.as_mut_ptr().cast(), secret.as_ptr()) };
    let text = public.get(..KEY_CHARACTERS)?;
    (code == 0).then(|| String::from_utf8_lossy(text).into_owned())
}
