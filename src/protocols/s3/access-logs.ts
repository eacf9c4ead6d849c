/**
 * Access logs of buckets that want some: a line for each request, in S3's format, gathered in memory and stored as objects of
 * the target bucket now and then. As with S3 they are a best effort: what was gathered in the last moments before a crash
 * is lost, and so is what a target does not take.
 */
import type { Clock } from '../../base/clock.ts'
import { ACCESS_LOG_BYTES_MAX, ACCESS_LOG_OBJECT_BYTES } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { formatAcl } from '../../iam/acl.ts'
import type { Identities } from '../../iam/identities.ts'
import { rawHeader } from '../../net/reply.ts'
import type { Bucket, ObjectStore } from '../../objects/object-store.ts'
import type { Logging } from './logging-document.ts'
import type { Route } from './routes.ts'
import type { S3Request } from './s3-request.ts'

export interface AccessLogsOptions {
  objects: ObjectStore
  identities: Identities
  clock: Clock
  random: Random
  log: Log
  region: string
  hostId: string
  /** How often what was gathered is stored. */
  periodMs: number
}

/** One request that was answered. */
export interface Access {
  bucket: Bucket
  request: S3Request
  route: Route | undefined
  requestId: string
  /** Canonical id; undefined: anonymous. */
  requester: string | undefined
  status: number
  errorCode: string | undefined
  sentBytes: number
  objectBytes: number | undefined
  tookMs: number
}

interface Gathered {
  bucket: Bucket
  lines: string[]
  bytes: number
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export class AccessLogs {
  readonly #options: AccessLogsOptions
  #gathered = new Map<number, Gathered>()
  #bytes = 0
  #stopTimer: (() => void) | undefined
  #storing: Promise<void> = Promise.resolve()

  constructor(options: AccessLogsOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, periodMs } = this.#options
    this.#stopTimer = clock.every(periodMs, () => void this.store())
  }

  /** Stores what was gathered. */
  async close(): Promise<void> {
    this.#stopTimer?.()
    await this.store()
  }

  /** Only for buckets with a `logging` document. */
  note(access: Access): void {
    const { bucket } = access
    const line = lineOf(access, { nowMs: this.#options.clock.nowMs(), hostId: this.#options.hostId })
    if (this.#bytes + line.length > ACCESS_LOG_BYTES_MAX) return
    this.#bytes += line.length
    const gathered = this.#gathered.get(bucket.id)
    if (gathered === undefined) {
      this.#gathered.set(bucket.id, { bucket, lines: [line], bytes: line.length })
      return
    }
    gathered.bucket = bucket
    gathered.lines.push(line)
    gathered.bytes += line.length
    if (gathered.bytes >= ACCESS_LOG_OBJECT_BYTES) void this.store()
  }

  /** Never rejects. */
  store(): Promise<void> {
    const gathered = this.#gathered
    this.#gathered = new Map()
    this.#bytes = 0
    this.#storing = this.#storing.then(() => this.#storeAll(gathered))
    return this.#storing
  }

  async #storeAll(gathered: ReadonlyMap<number, Gathered>): Promise<void> {
    for (const each of gathered.values()) {
      try {
        await this.#storeOne(each)
      } catch (error) {
        this.#options.log.warn({ error, bucket: each.bucket.name }, 'an access log could not be stored')
      }
    }
  }

  async #storeOne({ bucket, lines }: Gathered): Promise<void> {
    const { objects, identities } = this.#options
    const logging = JSON.parse(bucket.configs.get('logging')!) as Logging
    const target = await objects.bucket(logging.bucket)
    // The target was removed, or belongs to somebody else now: nothing of this bucket goes there.
    if (target === undefined || target.owner !== bucket.owner) return
    const whole = Buffer.from(lines.join(''))
    const owner = identities.ownerOf(target.owner).canonicalId
    const own = { grantee: { kind: 'user', id: owner }, permission: 'FULL_CONTROL' } as const
    const acl =
      logging.grants.length === 0 ? {} : { acl: formatAcl({ owner, grants: [own, ...logging.grants] }) }
    await objects.put({
      bucket: target,
      key: this.#keyOf(bucket, logging),
      body: { sizeBytes: whole.length, whole, async *pieces() {} },
      attributes: { contentType: 'text/plain', ...acl },
    })
  }

  #keyOf(bucket: Bucket, { prefix, partitionedBy }: Logging): string {
    const { clock, random, region } = this.#options
    const [day, time] = new Date(clock.nowMs()).toISOString().split('T') as [string, string]
    const unique = random.bytes(8).toString('hex').toUpperCase()
    const name = `${day}-${time.slice(0, 8).replaceAll(':', '-')}-${unique}`
    if (partitionedBy === undefined) return prefix + name
    return `${prefix}${bucket.owner}/${region}/${bucket.name}/${day.replaceAll('-', '/')}/${name}`
  }
}

/** One line, its end included. */
function lineOf(access: Access, { nowMs, hostId }: { nowMs: number; hostId: string }): string {
  const { bucket, request, status, tookMs, objectBytes } = access
  const header = (name: string) => rawHeader(request.rawHeaders, name)
  const query = request.rawQuery === '' ? '' : `?${request.rawQuery.replace(SECRETS, '$1=-')}`
  const isV4 = header('authorization')?.startsWith('AWS4') ?? request.param('X-Amz-Algorithm') !== undefined
  const isSigned = access.requester !== undefined
  const fields = [
    bucket.owner,
    bucket.name,
    `[${timeText(nowMs)}]`,
    request.remoteAddress || '-',
    access.requester ?? '-',
    access.requestId,
    operationOf(request, access.route),
    request.key === '' ? '-' : encodeURIComponent(request.key),
    quoted(`${request.method} ${request.rawPath}${query} HTTP/1.1`),
    status,
    access.errorCode ?? '-',
    access.sentBytes === 0 ? '-' : access.sentBytes,
    objectBytes ?? '-',
    Math.round(tookMs),
    '-',
    quoted(header('referer')),
    quoted(header('user-agent')),
    request.filledParam('versionId') ?? '-',
    hostId,
    isSigned ? (isV4 ? 'SigV4' : 'SigV2') : '-',
    '-',
    isSigned ? (header('authorization') === undefined ? 'QueryString' : 'AuthHeader') : '-',
    header('host') ?? '-',
    request.tlsVersion === undefined ? '-' : `TLSv${request.tlsVersion}`,
    '-',
    '-',
  ]
  return `${fields.join(' ')}\n`
}

/** What could be used again by whoever reads the log. */
const SECRETS = /\b(X-Amz-Signature|X-Amz-Security-Token|Signature)=[^&]*/gi

function quoted(text: string | undefined): string {
  return text === undefined ? '"-"' : `"${text.replace(/["\\]/g, '\\$&')}"`
}

function timeText(ms: number): string {
  const date = new Date(ms)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
}

/** `REST.GET.OBJECT` and the like. */
function operationOf({ method }: S3Request, route: Route | undefined): string {
  if (route === undefined) return `REST.${method}.UNKNOWN`
  switch (route.action) {
    case 'CopyObject':
      return 'REST.COPY.OBJECT'
    case 'UploadPartCopy':
      return 'REST.COPY.PART'
    case 'UploadPart':
      return 'REST.PUT.PART'
    case 'DeleteObjects':
      return 'REST.POST.MULTI_OBJECT_DELETE'
    case 'WebsiteGetObject':
      return `WEBSITE.${method}.OBJECT`
    default: {
      const { level, sub } = route
      if (sub === 'uploadId') return `REST.${method}.UPLOAD`
      const what = sub === '' ? level : sub.replaceAll('-', '_')
      return `REST.${method}.${what.toUpperCase()}`
    }
  }
}
