//! Keeps index registers out of the address of a cell.
//!
//! Some processors (Intel's since Golden Cove) forward a stored value to the next load of the same
//! address at no cost, but only if the address is a register plus a constant. With an index
//! register, `incq (%base,%index)`, each increment waits about five cycles for the previous one.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        clippy::pointers_in_nomem_asm_block,
        reason = "an assembler text without instructions hides that the address is a sum"
    )
)]

/// The same reference, whose address the compiler computes before it is used.
#[inline(always)]
pub(super) fn in_register<T>(cell: &'static T) -> &'static T {
    #[cfg(target_arch = "x86_64")]
    {
        let mut address = std::ptr::from_ref(cell);
        // SAFETY: the text has no instruction, so the address remains that of `cell`.
        unsafe {
            std::arch::asm!(
                "/* {0} */",
                inout(reg) address,
                options(pure, nomem, nostack, preserves_flags)
            );
            &*address
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    cell
}
