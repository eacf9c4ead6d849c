/** Server-side encryption as clients ask for it: headers, or fields of a form, to what the object layer is told, and back. */
import { createHash } from 'node:crypto'
import { ENCRYPTION_KEY_BYTES } from '../../base/limits.ts'
import { objectArn } from '../../iam/policy.ts'
import { type BucketEncryption, bucketEncryption } from '../../objects/bucket-encryption.ts'
import type { EncryptionKind, PutObject } from '../../objects/object-store.ts'
import { principalArn } from './auth/policy-context.ts'
import type { HeaderView } from './header-values.ts'
import type { S3Context } from './s3-context.ts'
import { invalidArgument, S3Error } from './s3-error.ts'

const SSE = 'x-amz-server-side-encryption'
const ALGORITHM = 'AES256'
const CUSTOMER = `${SSE}-customer`
const SOURCE_CUSTOMER = `x-amz-copy-source-server-side-encryption-customer`
const KMS_KEY = `${SSE}-aws-kms-key-id`
const KMS_CONTEXT = `${SSE}-context`
const ENCRYPTION_HEADER = /^x-amz-(copy-source-)?server-side-encryption/i

type Encryption = PutObject['encryption']

/** How a new object is to be encrypted; undefined: nothing is said, and the bucket says nothing that cannot be done. */
export function newEncryption(context: S3Context, view: HeaderView): Encryption {
  const asked = hasEncryptionHeader(view) ? askedEncryption(context, view) : undefined
  const rules = bucketEncryption(context.bucket)
  if (rules !== undefined) checkRules(context, rules, asked)
  return asked
}

/**
 * SSE-C of a request that reads, or of a part: the key. Throws InvalidArgument where another encryption is asked for; but
 * clients say SSE-S3 again with each part, which changes nothing.
 */
export function customerKeyOf(context: S3Context, { isRead }: { isRead: boolean }): Buffer | undefined {
  const { request } = context
  if (!hasEncryptionHeader(request)) return undefined
  const method = request.header(SSE)
  if (method !== undefined && (isRead || method !== 'AES256'))
    throw invalidArgument(`${SSE} header is not supported for this operation.`, SSE, method)
  return customerKey(context, request, { prefix: CUSTOMER, isRead })
}

/** SSE-C of the source of a copy. */
export function sourceKeyOf(context: S3Context): Buffer | undefined {
  const { request } = context
  if (!hasEncryptionHeader(request)) return undefined
  return customerKey(context, request, { prefix: SOURCE_CUSTOMER, isRead: true })
}

/** What a reply says of the encryption of an object. */
export function encryptionHeaders(kind: EncryptionKind | undefined, view: HeaderView): string[] {
  if (kind === undefined) return []
  if (kind === 'SSE-S3') return [SSE, ALGORITHM]
  const key = Buffer.from(view.header(`${CUSTOMER}-key`) ?? '', 'base64')
  return [`${CUSTOMER}-algorithm`, ALGORITHM, `${CUSTOMER}-key-MD5`, md5(key).toString('base64')]
}

/** Most requests have none. */
function hasEncryptionHeader({ rawHeaders }: HeaderView): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length >= SSE.length && ENCRYPTION_HEADER.test(name)) return true
  }
  return false
}

function askedEncryption(context: S3Context, view: HeaderView): Encryption {
  const method = view.header(SSE)
  const hasCustomer = CUSTOMER_PARTS.some((part) => view.header(`${CUSTOMER}${part}`) !== undefined)
  if (hasCustomer && method !== undefined) {
    const message =
      'Server Side Encryption with Customer provided key is incompatible with the encryption method specified'
    throw invalidArgument(message, SSE, method)
  }
  const given = customerKey(context, view, { prefix: CUSTOMER, isRead: false })
  if (given !== undefined) return { customerKey: given }
  const keyId = view.header(KMS_KEY)
  if (method === 'aws:kms' || method === 'aws:kms:dsse') throw noSuchKey(keyId)
  if (keyId !== undefined || view.header(KMS_CONTEXT) !== undefined) {
    const message =
      'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms'
    throw invalidArgument(message, SSE, method ?? 'null')
  }
  if (method === undefined) return undefined
  if (method !== ALGORITHM)
    throw invalidArgument('The encryption method specified is not supported', SSE, method)
  return { managed: true }
}

const CUSTOMER_PARTS = ['-algorithm', '-key', '-key-md5']
const PROVIDED = 'Requests specifying Server Side Encryption with Customer provided keys must'

/** The key, 32 bytes unless it is for a read: there a wrong one is refused as any other that does not fit. */
function customerKey(
  context: S3Context,
  view: HeaderView,
  { prefix, isRead }: { prefix: string; isRead: boolean },
): Buffer | undefined {
  const [algorithm, text, digest] = CUSTOMER_PARTS.map((part) => view.header(`${prefix}${part}`))
  if (algorithm === undefined && text === undefined && digest === undefined) return undefined
  const refuse = (message: string) => invalidArgument(message, SSE, algorithm ?? 'null')
  if (!context.request.isTls && !context.services.allowsKeysOverHttp)
    throw new S3Error('InvalidRequest', `${PROVIDED} be made over a secure connection.`)
  if (algorithm === undefined) throw refuse(`${PROVIDED} provide a valid encryption algorithm.`)
  if (algorithm !== ALGORITHM) {
    const message = 'The Encryption request you specified is not valid. Supported value: AES256.'
    const extra = { ArgumentName: SSE, ArgumentValue: algorithm }
    throw new S3Error('InvalidEncryptionAlgorithmError', message, { extra })
  }
  if (text === undefined) throw refuse(`${PROVIDED} provide an appropriate secret key.`)
  const key = Buffer.from(text, 'base64')
  if (digest === undefined && !isRead)
    throw refuse(`${PROVIDED} provide the client calculated MD5 of the secret key.`)
  if (digest !== undefined && !md5(key).equals(Buffer.from(digest, 'base64')))
    throw refuse('The calculated MD5 hash of the key did not match the hash that was provided.')
  if (key.length !== ENCRYPTION_KEY_BYTES && !isRead)
    throw refuse('The secret key was invalid for the specified algorithm.')
  return key
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()

/** There is no key management service, so it has no keys. */
function noSuchKey(keyId = 'aws/s3'): S3Error {
  return new S3Error('KMS.NotFoundException', `Invalid keyId '${keyId}'`)
}

function checkRules(context: S3Context, rules: BucketEncryption, asked: Encryption): void {
  const { algorithm, kmsKeyId } = rules
  if (asked === undefined && algorithm !== undefined && algorithm !== ALGORITHM) throw noSuchKey(kmsKeyId)
  if (asked === undefined || !('customerKey' in asked) || !rules.blocksCustomerKeys) return
  const { account, bucket, key } = context
  const who = account === undefined ? 'Anonymous' : principalArn(account)
  const what = `s3:PutObject on resource: "${objectArn(bucket.name, key)}"`
  throw new S3Error(
    'AccessDenied',
    `User: ${who} is not authorized to perform: ${what} because this bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C). Please specify a different server-side encryption type`,
  )
}
