//! The folder of a journal: locked for one broker, watched, and the files in it.

mod directory;
mod locked;

pub(crate) use directory::{
    Directory, FolderState, SegmentFile, is_folder_missing, read_id, read_small, segment_name,
    segment_path, segments,
};
pub(crate) use locked::{LockedFolder, is_in_use};
