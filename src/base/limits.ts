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
/**
 * A connection on which nothing moves for this long is closed. Longer than clients and proxies keep connections that rest (90 s and
 * less, where they have a limit): so it is they who close, and no request is sent into a connection that is just being closed.
 */
export const IDLE_TIMEOUT_MS = 120_000
/** A body must arrive at least at the rate below, averaged, after this time. */
export const SLOW_GRACE_MS = 60_000
export const BODY_BYTES_PER_SECOND_MIN = 1 * KIB
/** Open connections of one HTTP server thread. */
export const CONNECTIONS_MAX = 20_000
/** Shutdown waits this long for requests in flight. */
export const SHUTDOWN_GRACE_MS = 10_000
/** Ranges in one Range header. */
export const RANGES_PER_REQUEST_MAX = 100
/** Ids handed out by one assign request. */
export const ASSIGN_COUNT_MAX = 1_000_000
/** HTTP client: no byte in either direction for this long ends the request. */
export const CLIENT_TIMEOUT_MS_DEFAULT = 30_000
/** HTTP client: an unused connection is closed after this, before the server's own limit does it. */
export const CLIENT_IDLE_CONNECTION_MS = 4_000
export const CLIENT_CONNECTIONS_PER_HOST_MAX = 64
/** Store client: tries of one call, the first included. */
export const CLIENT_ATTEMPTS_MAX = 5
/** Store client: wait before the second try; it doubles each time, up to the maximum. */
export const CLIENT_BACKOFF_MS = 50
export const CLIENT_BACKOFF_MS_MAX = 2_000
/** Store client: volumes whose locations are remembered, and for how long. */
export const CLIENT_LOCATIONS_MAX = 100_000
export const CLIENT_LOCATION_TTL_MS = 600_000
/** Store client: a JSON reply of a master or a volume server. */
export const CLIENT_JSON_BYTES_MAX = 1 * MIB
/** A write begins only when this many pages (2 KiB each) of the needle index's memory, or 1/16 of it, are left for writers beside it. */
export const INDEX_ROOM_PAGES = 1024
/** A thread waits at most this many times (1 ms or more each) for another one that is changing the needle index. */
export const INDEX_LOCK_WAITS_MAX = 30_000
/** A cluster message whose clock differs by more is refused; its nonce is remembered for twice as long. */
export const CLUSTER_CLOCK_SKEW_MS_MAX = 30_000
/** Nonces of cluster messages remembered at a time. */
export const CLUSTER_NONCES_MAX = 100_000
/** A shorter cluster secret could be guessed. */
export const CLUSTER_SECRET_BYTES_MIN = 16
/** One message of the cluster's wire: a heartbeat with VOLUMES_PER_SERVER_MAX volumes fits. */
export const CLUSTER_MESSAGE_BYTES_MAX = 8 * MIB
/** One call of a master to a volume server. */
export const VOLUME_ADMIN_MESSAGE_BYTES_MAX = 64 * KIB
/** A heartbeat, and every call to a volume server but compaction, is answered within this time. */
export const CLUSTER_CALL_MS_MAX = 10_000
/** Compacting one volume may take this long. */
export const COMPACT_CALL_MS_MAX = 4 * 3_600_000
/** A volume server tells the master its state this often, and at once when something changes. */
export const HEARTBEAT_PERIOD_MS_DEFAULT = 1_000
/** A node unseen for this many of its own heartbeat periods is out. */
export const HEARTBEAT_PERIODS_MISSED_MAX = 5
/** Volume servers of one master. */
export const NODES_MAX = 1_000
/** Collection names become part of file names. */
export const COLLECTION_BYTES_MAX = 128
/** An assign that finds nothing writable waits this long for growth before it answers 503. */
export const ASSIGN_WAIT_MS_MAX = 5_000
/** Assigns that wait for growth at a time. */
export const ASSIGNS_WAITING_MAX = 10_000
/** Volumes made at a time when none is writable. */
export const GROW_COUNT_DEFAULT = 2
/** File keys that a master takes from its durable state at a time; unused ones are skipped after a restart. */
export const KEY_LEASE_COUNT = 131_072
/** A volume server's disk with less than this free gets no new volumes. */
export const DISK_FREE_BYTES_MIN = 64 * MIB
/** A volume is compacted when deleted bytes are at least this share of it. */
export const GARBAGE_THRESHOLD_DEFAULT = 0.3
/** A master looks for volumes to compact this often. */
export const VACUUM_PERIOD_MS_DEFAULT = 15 * 60_000
/** A volume that moves goes in pieces of at most this. */
export const VOLUME_PIECE_BYTES_MAX = 4 * MIB
/** Copying one volume to another server may take this long. */
export const MOVE_CALL_MS_MAX = 4 * 3_600_000
/** Form bodies of the master's own requests. */
export const FORM_BODY_BYTES_MAX = 64 * KIB
/** Parts of one multipart form, and the headers of each. */
export const FORM_PARTS_MAX = 64
/** Before or behind the file of a form that is stored while it comes. */
export const FORM_FIELDS_BYTES_MAX = 64 * KIB
export const FORM_PART_HEADER_BYTES_MAX = 8 * KIB
/** Passwords that basic authentication remembers as right, so that each is hashed once. */
export const BASIC_AUTH_CACHE_MAX = 1_000
/** Passwords that one thread has hashed at a time; more are told to come again. */
export const BASIC_AUTH_CHECKS_MAX = 16
/** Lines of a basic authentication file. */
export const BASIC_AUTH_USERS_MAX = 10_000
/** A JSON Web Token in a request. */
export const JWT_BYTES_MAX = 8 * KIB
/** Volumes that `/submit` tries when one turns out to be full or closed for writing. */
export const SUBMIT_ATTEMPTS_MAX = 3
/** A token to write or delete one file, from an assign or a lookup, is good for this long. */
export const JWT_WRITE_S = 10
/** A token to read one file. */
export const JWT_READ_S = 60
/** Chunks of one manifest, and its length as JSON. */
export const MANIFEST_CHUNKS_MAX = 100_000
export const MANIFEST_BYTES_MAX = 16 * MIB
/** What is read of another server's error reply. */
export const ERROR_REPLY_BYTES_MAX = 64 * KIB
/** Last-Modified texts that a reader keeps. */
export const DATE_CACHE_ENTRIES = 4096
/** The scrub notes its position this often, and remembers at most so many damaged records that it has reported. */
export const SCRUB_SAVE_PERIOD_MS = 60_000
export const SCRUB_DAMAGE_NOTED_MAX = 100_000
/** Shorter files are not worth gzip; up to the second they are compressed on the spot, up to the third at all. */
export const GZIP_BYTES_MIN = 128
export const GZIP_AT_ONCE_BYTES_MAX = 4 * KIB
export const GZIP_BYTES_MAX = 64 * MIB
/** Long computations (images, gzip, gzipped manifests) of one process at a time: half of Node's pool of threads, the disk has the rest. */
export const HEAVY_JOBS_MAX = 2
/** Those of one thread that wait. Of the next, images and long gzipped manifests are refused, and files stored without gzip. */
export const HEAVY_JOBS_WAITING_MAX = 64
/** A job that waits looks again after this time, whatever it was told. */
export const HEAVY_JOB_LOOK_MS = 1_000
/** An image that is resized: stored, and in memory (all frames together). */
export const IMAGE_STORED_BYTES_MAX = 64 * MIB
export const IMAGE_PIXELS_MAX = 100_000_000
/** Resized images that one thread remembers. */
export const IMAGE_CACHE_BYTES_MAX = 32 * MIB
/** Store client: ids of a batch are used within this time; their tokens end soon after. */
export const CLIENT_ASSIGN_BATCH_MS_MAX = 5_000
/** `cairn upload`: files above the first are read while they are sent, and go in chunks above the second. */
export const UPLOAD_AT_ONCE_BYTES_MAX = 256 * KIB
export const UPLOAD_CHUNK_MIB_DEFAULT = 32
/** Chunks of one file that are uploaded at a time. */
export const UPLOAD_CHUNKS_AT_ONCE_MAX = 4
/** `/submit` stores larger files in chunks of this, up to the second. */
export const SUBMIT_CHUNK_BYTES_DEFAULT = 32 * MIB
export const SUBMIT_FILE_BYTES_MAX = 64 * GIB
/** Objects: bytes of UTF-8 of a key; names and values of user metadata together; tags. */
export const OBJECT_KEY_BYTES_MAX = 1024
export const USER_METADATA_BYTES_MAX = 2 * KIB
export const OBJECT_TAGS_MAX = 10
export const TAG_KEY_CHARS_MAX = 128
export const TAG_VALUE_CHARS_MAX = 256
/** One object, one part of an upload; every part but the last; parts of an upload. */
export const OBJECT_BYTES_MAX = 5 * 1024 * GIB
export const PART_BYTES_MAX = 5 * GIB
export const PART_BYTES_MIN = 5 * MIB
export const MULTIPART_PARTS_MAX = 10_000
/** Pieces of other contents that an object is made of, by copied parts and appends. */
export const OBJECT_SEGMENTS_MAX = 100_000
/** Entries of one page of a listing; buckets of one owner. */
export const LIST_KEYS_MAX = 1000
/** Attributes longer than this are read one by one for a page of a listing, which ends early where they come to more than that. */
export const LISTED_ATTRIBUTES_LONG_BYTES = 8 * 1024
export const LISTED_ATTRIBUTES_BYTES_MAX = 4 * 1024 * 1024
export const BUCKETS_PER_OWNER_MAX = 1000
/** A blob of a large object, and what all uploads of a process may hold in chunks together. */
export const OBJECT_CHUNK_BYTES = 4 * MIB
export const UPLOAD_BYTES_IN_FLIGHT_MAX = 64 * MIB
/** A blob of an object: a chunk, and what encryption adds to it. */
export const BLOB_BYTES_MAX = OBJECT_CHUNK_BYTES + 64 * KIB
export const OBJECT_CHUNK_BYTES_MIN = 64 * KIB
/** Chunks of one upload that are being written while the next is filled. */
export const UPLOAD_CHUNKS_WRITTEN_MAX = 3
/** Chunks of one upload that are written and not durable yet. */
export const UPLOAD_CHUNKS_UNSYNCED_MAX = 16
/** Longer bodies are hashed by other threads, where there are some: for shorter ones the way there takes longer. */
export const HASH_AT_ONCE_BYTES_MAX = 512 * KIB
/** Blobs that a reader of a long object knows ahead of what it reads: at first, and at most. */
export const READ_AHEAD_BLOBS_FIRST = 16
export const READ_AHEAD_BLOBS_MAX = 16_384
/** Blobs in an object's row; more go to pages of this many. */
export const INLINE_BLOBS_MAX = 8
export const CONTENT_PAGE_ENTRIES = 256
/** Garbage is kept for so long, for readers that began before. */
export const GARBAGE_DELAY_MS = 60_000
/** The collector: how often it looks, rows that it takes at a time, segments that it releases and pages that it empties in one step. */
export const GARBAGE_PERIOD_MS = 10_000
export const GARBAGE_ROWS_AT_ONCE = 128
export const GARBAGE_SEGMENTS_AT_ONCE = 128
export const GARBAGE_PAGES_AT_ONCE = 4
/** What cannot be removed, such as a blob of a server that is away, is tried again after this. */
export const GARBAGE_RETRY_MS = 300_000
/** Garbage in volumes that nobody has waits so long for the next try, and is forgotten when they stay away so long. */
export const GARBAGE_AWAY_RETRY_MS = 3_600_000
export const GARBAGE_LOST_MS = 86_400_000
/** A blob that nothing refers to is an orphan only after this time, where other processes write too. */
export const ORPHAN_GRACE_MS = 3_600_000
/** Such a process says so often that it lives; the search for orphans looks as often whether it may begin. */
export const WRITER_SEEN_PERIOD_MS = 60_000
/** Blobs of volumes that are compared with all names at a time: 48 bytes of memory each. */
export const SEARCHED_BLOBS_AT_ONCE = 2_000_000
/** Damage that a check of the store describes; the rest is counted. */
export const CHECK_DETAILS_MAX = 10_000
/** Metadata: scripts in one commit of SQLite, and those of one thread that wait for theirs. */
export const META_BATCH_SCRIPTS_MAX = 512
export const META_WRITES_WAITING_MAX = 20_000
/**
 * Rows that one script reads and changes, so that it holds the writer of SQLite well below 50 ms: what has more goes in steps.
 * Completing an upload is one transaction: it has at most so many more for each part.
 */
export const META_SCRIPT_ROWS_MAX = 2_000
export const META_ROWS_PER_PART_MAX = 6
/** Different statements of one connection. */
export const META_STATEMENTS_MAX = 1_000
/** A health check of the metadata is answered within this time. */
export const META_CHECK_MS_MAX = 5_000
/**
 * SQLite: page, page cache of a connection, pages of the write-ahead log before a checkpoint, which holds the writer; wait for a lock.
 * The writer has less cache: a commit that splits a page of a tree looks through all of it.
 */
export const SQLITE_PAGE_BYTES = 8 * KIB
export const SQLITE_CACHE_BYTES = 64 * MIB
export const SQLITE_WRITER_CACHE_BYTES = 16 * MIB
export const SQLITE_CHECKPOINT_PAGES = 2_000
export const SQLITE_BUSY_MS_MAX = 5_000
/** Blobs whose bytes go with the commit that names them, and how long until their volumes are synced for them. */
export const CARRIED_BLOB_BYTES_MAX = 4 * KIB
export const CARRIED_SYNC_MS = 250
/** Ids that a writer of blobs takes from the master at a time, how long it uses them, and how many volumes it tries. */
export const BLOB_LEASE_COUNT = 1024
export const BLOB_LEASE_MS_MAX = 60_000
export const BLOB_WRITE_ATTEMPTS_MAX = 5
/** A volume that refused a blob is not tried again so soon: its master has heard of it by then. */
export const BLOB_VOLUME_REFUSED_MS = 2_000
/** Collections and lifetimes of which a writer keeps ids. */
export const BLOB_LEASES_MAX = 256
/** Blobs on other servers that one call removes at a time. */
export const BLOB_REMOVES_AT_ONCE_MAX = 8
/**
 * As ASSIGN_WAIT_MS_MAX, where all volumes of a group have to be made, and made again where one could not: slow disks need it. The
 * master's callers wait a little longer.
 */
export const ERASURE_ASSIGN_WAIT_MS_MAX = 25_000
export const ERASURE_ASSIGN_CALL_MS_MAX = 30_000
export const ERASURE_GROW_RETRY_MS = 100
/** A read of an erasure volume asks for one more shard when it has waited so long for those that it asked for. */
export const ERASURE_HEDGE_MS = 100
/** A write to an erasure volume that k + 1 shards have waits so long for the others; repair brings those later. */
export const ERASURE_SLOW_SHARD_MS = 1_000
/** A shard's volume that failed is asked last, and not written to, for so long. */
export const ERASURE_SHARD_REFUSED_MS = 2_000
/** Erasure coding: packed blobs from this size on lie in memory that is used again. Of each size so much is kept, or two. */
export const PACKED_BYTES_KEPT_MIN = 16 * KIB
export const PACKED_KEPT_BYTES_MAX = 1 * MIB
/** Rooms for rebuilding large blobs, of some 7 MiB each, that a thread keeps for each layout. */
export const SHARD_ROOMS_KEPT_MAX = 4
/** PostgreSQL: connections of one thread, opening one, and one statement. */
export const META_CONNECTIONS_DEFAULT = 8
export const META_CONNECT_MS_MAX = 5_000
export const META_STATEMENT_MS_MAX = 30_000
/** PostgreSQL: a call waits so long for a server that is gone; when its commit may have happened, so long to find out. */
export const META_UNAVAILABLE_MS_MAX = 10_000
export const META_OUTCOME_MS_MAX = 600_000
/** PostgreSQL: the wait before the next try doubles, at random below it. */
export const META_RETRY_MS = 2
export const META_RETRY_MS_MAX = 500
/** PostgreSQL: so long one transaction may collide with others; whoever collides often must not wait longer than those that come. */
export const META_COLLIDING_MS_MAX = 30_000
export const META_COLLISION_WAIT_MS_MAX = 64
/** PostgreSQL: times that one transaction may insert what another has inserted just now; then its script is wrong. */
export const META_DUPLICATES_MAX = 10
/** PostgreSQL: marks of commits are kept so long, and removed after so many writes. Longer than a commit may be unknown. */
export const META_MARK_MS = 3_600_000
export const META_MARKS_PER_SWEEP = 10_000
/** Filer: directories that one thread remembers to be there, and for how long. */
export const FILER_KNOWN_DIRECTORIES_MAX = 10_000
export const FILER_KNOWN_DIRECTORY_MS = 10_000
/** Filer: for so long one thread goes by what it has read of its bucket. */
export const FILER_BUCKET_KNOWN_MS = 1_000
/** Filer: entries of one page of a directory, and those without a word. */
export const FILER_ENTRIES_MAX = 10_000
export const FILER_ENTRIES_DEFAULT = 1_000
/** A policy of a bucket or an identity, as text. */
export const POLICY_BYTES_MAX = 20 * KIB
/** The file of accounts; accounts in it, and access keys (and policies) of each. */
export const IDENTITIES_BYTES_MAX = 16 * MIB
export const ACCOUNTS_MAX = 10_000
export const ACCESS_KEYS_PER_ACCOUNT_MAX = 20
/** Entries of a volume that one call of the cluster lists. */
export const NEEDLES_PER_LISTING_MAX = 1024
/** S3: clocks of clients may be off by this; a presigned link is good for at most this. */
export const REQUEST_SKEW_MS_MAX = 15 * 60 * 1_000
export const PRESIGNED_S_MAX = 7 * 24 * 3_600
/** One line of chunk framing or of its trailing headers. */
export const CHUNK_LINE_BYTES_MAX = 8 * KIB
/** Pieces that arrive behind the last chunk, together. */
export const CHUNK_TAIL_BYTES_MAX = MIB
/** Every signed chunk but the last has at least this. */
export const SIGNED_CHUNK_BYTES_MIN = 8 * KIB
/** The policy of a POST form, decoded. */
export const POST_POLICY_BYTES_MAX = 20 * KIB
/** Directories: rows of a table that a rename changes in its only transaction; in each, where there are more. */
export const TREE_MOVED_AT_ONCE_MAX = 500
export const TREE_MOVED_ROWS_PER_STEP = 300
/** A change of names waits so long for a rename that is in its way; and before it does the rename's work itself. */
export const TREE_WAIT_FOR_MOVE_MS = 60_000
export const TREE_HELP_MOVE_MS = 5_000
/** Objects: a write waits so long for a rename in its way, at first and at most so much at a time. */
export const OBJECT_WAIT_MS_MAX = 10_000
export const OBJECT_WAIT_STEP_MS = 10
export const OBJECT_WAIT_STEP_MS_MAX = 200
/** Removals of one call that run at a time. */
export const DELETES_AT_ONCE_MAX = 64
/** Buckets whose policies, lists and rules one thread keeps as it has read them. */
export const BUCKETS_READ_MAX = 1_000
/** What one thread remembers of objects that it has found by their names. */
export const NAME_MEMORY_BYTES_MAX = 32 * MIB
/** Numbers by which threads tell each other which keys change: a power of two. */
export const KEY_CHANGE_SLOTS = 65_536
/** PostgreSQL: connections of one process, shared out among its threads, of which each has at least so many. */
export const META_CONNECTIONS_PER_PROCESS = 32
export const META_CONNECTIONS_MIN = 2
/** A dump of metadata: rows that are read at a time, and one block of them. */
export const META_DUMP_PAGE_ROWS = 256
export const META_DUMP_BLOCK_BYTES_MAX = 256 * MIB
/** Restoring metadata: rows of one statement, and transactions under way at a time. */
export const META_RESTORE_ROWS = 32
export const META_RESTORES_AT_ONCE = 8
/** S3: keys of one DeleteObjects; bytes of a posted form before its file. */
export const DELETE_KEYS_MAX = 1000
export const POST_FIELDS_BYTES_MAX = 20 * KIB
/** Journal of SQLite metadata: changes are cut and stored this often, and after so many changed rows, as the writer waits for a cut. */
export const META_JOURNAL_PERIOD_MS = 500
export const META_JOURNAL_ROWS_PER_CUT = 4_000
/** Journal: changes of one cut, and all that wait while they cannot be stored; above that a snapshot follows. */
export const META_CHANGES_BYTES_MAX = 256 * MIB
export const META_JOURNAL_PENDING_BYTES_MAX = 64 * MIB
/** Journal: a failed snapshot is tried again after this time; a stop waits so long for what is being stored. */
export const META_JOURNAL_RETRY_MS = 10_000
export const META_JOURNAL_STOP_MS_MAX = 10_000
/** Journal: a snapshot this often, and when the changes since the last one are larger than it and than this. */
export const META_SNAPSHOT_PERIOD_MS = 24 * 3_600_000
export const META_SNAPSHOT_JOURNAL_BYTES_MIN = 4 * MIB
/** Lifecycle: rules of one bucket, and how often all buckets are looked through. */
export const LIFECYCLE_RULES_MAX = 1_000
export const LIFECYCLE_PERIOD_MS = 3_600_000
/** Who is told of changes in one bucket. */
export const NOTIFICATION_CONFIGS_MAX = 100
/** Journal in volumes: one piece of an entry; pieces whose heads are read at a time. */
export const META_PIECE_BYTES = 1 * MIB
export const META_PIECES_READ_AT_ONCE = 16
/** A start waits so long for all volume servers to answer before it goes on without a search for orphans; and asks this often. */
export const UPKEEP_PREPARE_MS_MAX = 10_000
export const UPKEEP_RETRY_MS = 200
/** Routing rules of one bucket's website, and its document. */
export const WEBSITE_RULES_MAX = 50
export const WEBSITE_BYTES_MAX = 128 * KIB
/** Access logs of buckets: lines that one thread holds, the size of a log that is stored at once, and how often the rest is. */
export const ACCESS_LOG_BYTES_MAX = 32 * MIB
export const ACCESS_LOG_OBJECT_BYTES = 1 * MIB
export const ACCESS_LOG_PERIOD_MS = 60_000
/** Blobs by their own keys: volumes that are tried for one write. */
export const KEYED_ASSIGN_ATTEMPTS_MAX = 16
/** Names of hashed stores, and how often what has expired in them is removed. */
export const HASHED_NAME_BYTES_MAX = 65_535
export const HASHED_SWEEP_PERIOD_MS = 3_600_000
/** The file of accounts is looked at this often. */
export const IDENTITIES_LOOK_MS = 2_000
/** sfss: largest file, unless a setting says otherwise. */
export const SFSS_FILE_BYTES_MAX_DEFAULT = 2 * MIB
/** memcached's protocol: a command line, and one of keys; commands of one connection that are under way, answers that it has not read, and values that are read for it. */
export const MEMCACHED_LINE_BYTES_MAX = 64 * KIB
export const MEMCACHED_KEYS_LINE_BYTES_MAX = 256 * KIB
export const MEMCACHED_COMMANDS_IN_FLIGHT_MAX = 256
export const MEMCACHED_UNREAD_BYTES_MAX = 1 * MIB
export const MEMCACHED_READ_BYTES_MAX = 32 * MIB
export const MEMCACHED_VALUE_BYTES_MAX_DEFAULT = 4 * MIB
/** The bus (RabbitMQ): making a connection; pauses between tries, the first and the longest; closing. */
export const BUS_CONNECT_MS_MAX = 5_000
export const BUS_RECONNECT_MS = 200
export const BUS_RECONNECT_MS_MAX = 5_000
export const BUS_CLOSE_MS_MAX = 1_000
/** The bus: a connection on which nothing came for twice this is dead. */
export const BUS_HEARTBEAT_S = 5
/** The bus: how long answers are waited for, and how many are taken of one question. */
export const BUS_ANSWER_MS_MAX = 1_000
export const BUS_ANSWERS_MAX = 1_000
/** The bus: periods of its heartbeats after which a server of which nothing was heard is out. */
export const BUS_PERIODS_MISSED_MAX = 2
export const BUS_HEARTBEAT_PERIOD_MS_DEFAULT = 5_000
/** Encryption: a key, and how long a key of the installation is known everywhere before it is used. */
export const ENCRYPTION_KEY_BYTES = 32
export const INSTALLATION_KEY_WAIT_MS = 60_000
/** Generations of the installation's keys. */
export const ENCRYPTION_KEYS_MAX = 1_000
/** Hash store: the head of an extended request or reply; files that are given to the store in one step. */
export const HASHSTORE_HEAD_BYTES_MAX = 64 * KIB
export const HASHSTORE_WHOLE_BYTES_MAX = 64 * KIB
/** Hash store: of a body that was refused, so much is read and dropped; a connection with a longer rest is closed. */
export const HASHSTORE_DROPPED_BYTES_MAX = 1 * MIB
/** Hash store: bytes that came and were not looked at yet; above it, a connection is read no further. */
export const HASHSTORE_UNREAD_BYTES_MAX = 256 * KIB
/** Hash store: writes of the old protocol under way that fetches wait for. */
export const HASHSTORE_WRITES_SEEN_MAX = 256
/** How long a fetch of the old protocol waits for a write of its name, and for one whose name has not come. */
export const HASHSTORE_FETCH_WAIT_MS_MAX = 10_000
export const HASHSTORE_NAME_WAIT_MS_MAX = 1_000
/** Hash store: points of each server on the ring. All clients must use the same. */
export const HASHSTORE_RING_POINTS = 128
/** Hash store: longer files go in chunks of this. */
export const HASHSTORE_CHUNK_BYTES_DEFAULT = 64 * MIB
/** Hash store: chunks that a client has in memory to send them; a longer one is alone. */
export const HASHSTORE_CHUNKS_SENT_BYTES_MAX = 256 * MIB
/** Hash store: chunks that no manifest names are loose after so long, and no upload may take nearly that. */
export const HASHSTORE_CHUNK_AGE_MS = 7 * 24 * 3_600_000
export const HASHSTORE_UPLOAD_MS_MAX = 6 * 24 * 3_600_000
/** Hash store: how long it is known that a file was removed. */
export const HASHSTORE_REMOVED_MS = 7 * 24 * 3_600_000
/** Hash store: the last time that a date can show. */
export const HASHSTORE_TIME_MS_MAX = 8_640_000_000_000_000
/** A client of that protocol: requests under way and their bytes; waits before a server that is gone is tried again; one request. */
export const MEMCACHED_CLIENT_REQUESTS_MAX = 4_096
export const MEMCACHED_CLIENT_BYTES_MAX = 128 * MIB
export const MEMCACHED_RETRY_MS = 50
export const MEMCACHED_RETRY_MS_MAX = 2_000
export const MEMCACHED_TIMEOUT_MS = 1_000
/** sfss: how often the servers that it keeps copies on are asked whether they answer. */
export const SFSS_WATCH_MS = 2_000
/** sfss: for its status, servers of the store are given this time to answer. */
export const SFSS_STATUS_MS_MAX = 2_000
/** sfss on such servers: repairs under way in one thread; removals are remembered so long, for servers that were away. */
export const SFSS_REPAIRS_MAX = 64
/** sfss on such servers: a write looks so often at what others have written to its path meanwhile. */
export const SFSS_WRITE_ATTEMPTS_MAX = 128
/** sfss on such servers: removals that one thread remembers for servers that missed them, and looks so often whether those answer. */
export const SFSS_OWED_REMOVALS_MAX = 10_000
export const SFSS_OWED_PERIOD_MS = 1_000
export const SFSS_REMOVED_S = 30 * 24 * 3_600
/** Repair of erasure groups: keys of a member that are compared in one step. */
export const SHARD_KEYS_COMPARED = 4_096
/** Repair: entries, states and needles of one call to another member. */
export const SHARD_ENTRIES_MAX = 16_384
export const SHARD_STATES_MAX = 1_024
export const SHARD_DATA_MAX = 512
/** Repair: needles of one call, but for a single larger one. */
export const SHARD_DATA_BYTES_MAX = 4 * MIB
/** Repair: one call to another member, and its reply, which may hold two of the largest shards. */
export const SHARD_CALL_MS_MAX = 5_000
export const SHARD_REPLY_BYTES_MAX = 16 * MIB
/** Repair: each group is looked at so often; all its keys are compared so often, and at most so fast. */
export const SHARD_REPAIR_PERIOD_MS = 1_000
export const SHARD_COMPARE_PERIOD_MS = 6 * 3_600_000
export const SHARD_KEYS_PER_SECOND_MAX = 200_000
/** A lost member of an erasure group is made anew after this; the master looks so often. */
export const REPAIR_AFTER_MS_DEFAULT = 10 * 60_000
export const LOST_MEMBERS_PERIOD_MS = 1_000
/** Repair: keys that one group's repair remembers between two visits. */
export const SHARDS_WAITING_MAX = 100_000
/** Uploads in steps: how long a token is good, and the least that is kept of one at a time. */
export const STEP_UPLOAD_MS_MAX = 24 * 3_600_000
export const STEP_PART_BYTES_MIN = 8 * MIB
/** Shards as files: blobs of which one thread looks at all shards behind reads, at a time. */
export const SHARD_FILE_LOOKS_MAX = 16
/** Shards as files: those that no volume names are looked for this often, and removed when they are so old. */
export const SHARD_FILE_SWEEP_PERIOD_MS = 3_600_000
export const SHARD_FILE_AGE_MS_MIN = 3_600_000
