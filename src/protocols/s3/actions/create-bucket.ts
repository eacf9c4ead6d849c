/** CreateBucket, with its region, ACL, ownership, object lock and tags. */
import { StoreError } from '../../../base/errors.ts'
import { type Acl, formatAcl } from '../../../iam/acl.ts'
import type { ObjectOwnership } from '../../../iam/authorize.ts'
import { bucketArn } from '../../../iam/policy.ts'
import type { Outcome } from '../../../net/reply.ts'
import { isBucketName } from '../../../objects/bucket-name.ts'
import type { Bucket, BucketConfig } from '../../../objects/object-store.ts'
import { aclOfHeaders } from '../acl-document.ts'
import { OBJECT_OWNERSHIPS } from '../bucket-rules.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { BUCKET_TAGS_MAX, parseTagSet } from '../tags.ts'
import { parseXml } from '../xml-reader.ts'

type Configs = Partial<Record<BucketConfig, string>>

export async function createBucket(context: S3Context): Promise<Outcome> {
  const { request, objects } = context
  const name = request.bucket
  if (!isBucketName(name)) throw new S3Error('InvalidBucketName')
  const configs = await readConfigs(context)
  const objectLock = lockHeader(request)
  const owner = context.account!.id
  try {
    await objects.createBucket({ name, owner, objectLock, configs })
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.code === 'conflict') throw new S3Error('TooManyBuckets', undefined, { cause: error })
    if (error.code !== 'bucket_exists') throw error
    await createAgain(context, configs)
  }
  return {
    status: 200,
    headers: ['Location', `/${name}`, 'x-amz-bucket-arn', bucketArn(name)],
    body: undefined,
  }
}

/** Once more by its owner: in us-east-1 that succeeds and sets the ACL anew, as it always has. */
async function createAgain(context: S3Context, configs: Configs): Promise<void> {
  const { request, services, objects } = context
  const bucket: Bucket | undefined = await objects.bucket(request.bucket)
  if (bucket === undefined) throw new S3Error('OperationAborted')
  if (bucket.owner !== context.account!.id) throw new S3Error('BucketAlreadyExists')
  if (services.region !== 'us-east-1' || lockHeader(request) !== bucket.objectLock)
    throw new S3Error('BucketAlreadyOwnedByYou')
  const acl = configs.acl ?? null
  if ((bucket.configs.get('acl') ?? null) !== acl) await objects.changeBucket(bucket, { configs: { acl } })
}

async function readConfigs(context: S3Context): Promise<Configs> {
  const { request, identities } = context
  const configs: Configs = {}
  const tagging = await readDocument(context)
  if (tagging !== undefined) configs.tagging = tagging
  const ownership = ownershipHeader(request)
  if (ownership !== undefined) configs.ownership = ownership
  const { canonicalId } = context.account!
  const acl = aclOfHeaders(request, { owner: canonicalId, bucketOwner: canonicalId }, identities)
  if (acl === undefined) return configs
  if (ownership === 'BucketOwnerEnforced') {
    if (grantsOthers(acl)) throw new S3Error('InvalidBucketAclWithObjectOwnership')
  } else if (grantsOthers(acl)) configs.acl = formatAcl(acl)
  return configs
}

function grantsOthers({ owner, grants }: Acl): boolean {
  return grants.some(({ grantee }) => grantee.kind !== 'user' || grantee.id !== owner)
}

function ownershipHeader(request: S3Request): ObjectOwnership | undefined {
  const text = request.header('x-amz-object-ownership')
  if (text === undefined) return undefined
  const found = OBJECT_OWNERSHIPS.find((each) => each === text)
  if (found === undefined)
    throw invalidArgument(`Invalid x-amz-object-ownership header: ${text}`, 'x-amz-object-ownership', text)
  return found
}

function lockHeader(request: S3Request): boolean {
  const text = request.header('x-amz-bucket-object-lock-enabled')?.toLowerCase()
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  throw invalidArgument(
    'The value provided for header x-amz-bucket-object-lock-enabled is invalid',
    'x-amz-bucket-object-lock-enabled',
    text,
  )
}

/** Checks where the bucket shall be; gives its tags as they are stored. */
async function readDocument(context: S3Context): Promise<string | undefined> {
  const bytes = await context.readBody()
  if (bytes.length === 0) return undefined
  const root = parseXml(bytes, 'CreateBucketConfiguration')
  const region = root.maybeString('LocationConstraint')?.trim()
  const tagsNode = root.maybe('Tags')
  if (root.maybe('Location') !== undefined || root.maybe('Bucket') !== undefined)
    throw new S3Error('NotImplemented')
  root.done()
  if (region !== undefined && region !== '' && region !== context.services.region) {
    throw new S3Error('InvalidLocationConstraint', undefined, { extra: { LocationConstraint: region } })
  }
  if (tagsNode === undefined) return undefined
  const tags = parseTagSet(tagsNode, { countMax: BUCKET_TAGS_MAX, of: 'Bucket' })
  return tags.length === 0 ? undefined : JSON.stringify(tags)
}
