/** Permission bits that files and directories are shown with where none were given. */
export const FILE_MODE_DEFAULT = 0o660
/** What a directory has beside the bits of the file that it was made for. */
export const SEARCHABLE = 0o111
