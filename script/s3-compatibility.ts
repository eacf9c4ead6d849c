/** `node script/s3-compatibility.ts`: writes `docs/s3-compatibility.md` from the route table. A test compares the two. */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HANDLERS } from '../src/protocols/s3/handlers.ts'
import { PREFLIGHT, ROUTES, type Route } from '../src/protocols/s3/routes.ts'

const ROOT = join(import.meta.dirname, '..')

const HEAD = `# S3, operation by operation

Every operation of the API reference on general purpose buckets, the page that \`node script/s3-compatibility.ts\` writes from the route
table (\`src/protocols/s3/routes.ts\`). **works**: as the reference says. **stub**: answered as by a bucket that does not use it; what
would change something is refused. **501**: NotImplemented. The test beside a row is the file that calls the operation over HTTP, on a
real store. Operations of directory buckets, tables, vectors, access points and Object Lambda are not there.

Server-side encryption is SSE-S3 (\`AES256\`) and SSE-C, in every operation that takes it; SSE-C only over TLS, unless \`--sse-c-over-http\` is set. There is no
key management service: \`aws:kms\` and \`aws:kms:dsse\` get \`KMS.NotFoundException\`, as with a key that does not exist. Unlike on AWS a bucket without
an encryption configuration has none, and does not encrypt; a copy that says nothing of encryption stays under SSE-S3 where its source is.

What else is not as on AWS, on purpose:

- Checksums are CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH64, XXHASH3 and XXHASH128. An object that comes without one has none: AWS
  adds a CRC64NVME of its own.
- A bucket without ownership controls is as with \`ObjectWriter\`, so lists count. On AWS new buckets are \`BucketOwnerEnforced\`.
- \`If-None-Match\` of writes takes ETags too, and \`If-Match\` takes \`*\`, where AWS answers NotImplemented.
- A write or delete that compares an ETag needs \`s3:GetObject\` as on AWS, but by a policy or as the bucket's owner: the object's own list is not
  asked.
- Another account that may put an object may set its tags and its ACL with it, without \`s3:PutObjectTagging\` and \`s3:PutObjectAcl\`; a policy
  can deny them.
- \`us-east-1\` is taken as a location, and all buckets are in one region.
- An empty \`versionId\` in requests about retention and legal holds is none. Chunks of bodies without signatures may be shorter than 8 KiB.
- SSE-S3 may be said again with each part. Keys are any bytes of UTF-8, \`..\` too.

| operation | request | | what differs, test |
|---|---|---|---|
`

/** Operations that are answered, and do less than their name says. */
export const STUBS: Readonly<Record<string, string>> = {
  GetBucketRequestPayment: 'always `BucketOwner`: nobody is charged',
  PutBucketRequestPayment: '`Requester` is 501',
  GetBucketAccelerateConfiguration: 'kept and given back; there is no other endpoint',
  PutBucketAccelerateConfiguration: 'kept and given back; there is no other endpoint',
  PutBucketNotificationConfiguration:
    'kept, and each change is noted in the outbox; nothing is delivered yet',
  GetObjectTorrent: 'no object has one',
  RestoreObject: 'nothing is archived, so it is always `InvalidObjectState`',
  GetBucketReplication: 'always none',
  DeleteBucketReplication: 'there never is one',
  ...Object.fromEntries(
    ['Analytics', 'Inventory', 'Metrics', 'IntelligentTiering'].flatMap((name) => [
      [`GetBucket${name}Configuration`, 'always `NoSuchConfiguration`'],
      [`ListBucket${name}Configurations`, 'always none'],
      [`DeleteBucket${name}Configuration`, 'always `NoSuchConfiguration`'],
    ]),
  ),
}

/** Answered before handlers are asked. */
const WITHOUT_HANDLER: ReadonlySet<string> = new Set([PREFLIGHT.action])

export function stateOf(action: string): 'works' | 'stub' | '501' {
  if (!HANDLERS.has(action) && !WITHOUT_HANDLER.has(action)) return '501'
  return action in STUBS ? 'stub' : 'works'
}

/** The whole page. */
export function compatibilityPage(): string {
  const routes = [...ROUTES, PREFLIGHT]
  const tests = testFiles()
  const rows = routes.map((route) => {
    const state = stateOf(route.action)
    const notes = [STUBS[route.action], state === '501' ? undefined : testOf(route.action, tests)]
    return `| ${route.action} | \`${requestText(route)}\` | ${state} | ${notes.filter(Boolean).join('; ')} |\n`
  })
  const count = (state: string) => routes.filter(({ action }) => stateOf(action) === state).length
  const sums = `\n${count('works')} work, ${count('stub')} are stubs, ${count('501')} are 501.\n`
  return HEAD + rows.join('') + sums
}

function requestText({ level, method, sub, mark }: Route): string {
  const path = { service: '/', bucket: '/bucket', object: '/bucket/key' }[level]
  const params = sub === '' ? [] : [sub]
  if (mark?.param !== undefined)
    params.push(mark.value === undefined ? mark.param : `${mark.param}=${mark.value}`)
  const header = mark?.header === undefined ? '' : ` with ${mark.header}`
  return `${method} ${path}${params.length === 0 ? '' : `?${params.join('&')}`}${header}`
}

interface TestFile {
  path: string
  /** Its first comment, which names the operations that it is about. */
  about: string
}

function testFiles(): TestFile[] {
  return globSync('test/{s3,s3-objects}/*.test.ts', { cwd: ROOT })
    .sort()
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      return { path, about: text.slice(0, text.indexOf('*/')) }
    })
}

/** The first test whose opening comment names the operation. */
function testOf(action: string, tests: readonly TestFile[]): string {
  const name = new RegExp(`\\b${action}\\b`)
  const found = tests.find(({ about }) => name.test(about))
  return found === undefined ? 'no test of its own' : `\`${found.path}\``
}

if (import.meta.main) writeFileSync(join(ROOT, 'docs', 's3-compatibility.md'), compatibilityPage())
