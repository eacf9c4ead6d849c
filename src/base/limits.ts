/** Every limit of the store, by name, with its unit. Configuration may lower or raise those that `cli/config.ts` lists. */

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

/** Needle offsets are counted in units of 8 bytes and stored in 32 bits. */
export const VOLUME_SIZE_BYTES_MAX = 32 * GIB
/** A volume takes no new writes above this size. */
export const VOLUME_SIZE_LIMIT_BYTES_DEFAULT = 30_000 * MIB
/** One file of a volume server (SeaweedFS's `-fileSizeLimitMB`). */
export const FILE_SIZE_BYTES_MAX_DEFAULT = 256 * MIB
/** Name and mime have a one-byte length in the record. */
export const NAME_BYTES_MAX = 255
export const MIME_BYTES_MAX = 255
/** Pairs have a two-byte length in the record. */
export const PAIRS_BYTES_MAX = 65_535
/** Records up to this size are read, verified and written whole, on the thread that has the request. */
export const SMALL_RECORD_BYTES_MAX = 1 * MIB
/** Data above one block carries a checksum for each block, so that a range read verifies only what it touches. */
export const CHECKSUM_BLOCK_BYTES = 64 * KIB
/** Bytes of request bodies that one process holds at a time. */
export const BODY_BYTES_IN_FLIGHT_MAX_DEFAULT = 1 * GIB
/** A synced checkpoint of a volume's index at least this often. */
export const CHECKPOINT_DAT_BYTES = 64 * MIB
/** `.idx` is checked in blocks of this size. */
export const INDEX_BLOCK_BYTES = 4 * KIB
/** Volumes of one server process. */
export const VOLUMES_PER_SERVER_MAX = 4096
/** After an early error the rest of the body is read and dropped, so that the client sees the answer. */
export const DRAIN_BODY_BYTES_MAX = 64 * MIB
export const DRAIN_BODY_MS_MAX = 10_000
/** HTTP request head: all headers together. */
export const HEADER_BYTES_MAX = 16 * KIB
/** A client must send a whole request head within this time. */
export const HEADER_TIMEOUT_MS = 10_000
/** A connection on which nothing moves for this long is closed. */
export const IDLE_TIMEOUT_MS = 60_000
/** A body must arrive at least at this rate, averaged, after a grace of IDLE_TIMEOUT_MS. */
export const BODY_BYTES_PER_SECOND_MIN = 1 * KIB
/** Open connections of one HTTP server thread. */
export const CONNECTIONS_MAX = 20_000
/** Shutdown waits this long for requests in flight. */
export const SHUTDOWN_GRACE_MS = 10_000
/** Ranges in one Range header. */
export const RANGES_PER_REQUEST_MAX = 100
/** Ids handed out by one assign request. */
export const ASSIGN_COUNT_MAX = 1_000_000
