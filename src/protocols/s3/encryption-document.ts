/** The default encryption of a bucket, as S3 clients send and read it. Kept as JSON. */
import { type BucketEncryption, ENCRYPTION_ALGORITHMS } from '../../objects/bucket-encryption.ts'
import { invalidArgument } from './s3-error.ts'
import type { XmlNode } from './xml-reader.ts'
import { optionalTag, tag, wrap } from './xml-writer.ts'

const DEFAULT = 'ApplyServerSideEncryptionByDefault'

/** `present`: what a rule that says nothing of blocked types leaves as it is. */
export function parseEncryption(root: XmlNode, present: BucketEncryption | undefined): BucketEncryption {
  const rules = root.all('Rule')
  root.done()
  const [rule] = rules
  if (rule === undefined || rules.length > 1) throw root.malformed()
  const byDefault = rule.maybe(DEFAULT)
  const bucketKey = rule.maybeBoolean('BucketKeyEnabled')
  const blocked = rule.maybe('BlockedEncryptionTypes')
  const isEmpty = rule.children.length === 0
  rule.done()
  if (isEmpty) throw rule.malformed()
  const blocksCustomerKeys = blocked === undefined ? present?.blocksCustomerKeys : parseBlocked(blocked)
  return {
    ...(byDefault === undefined ? {} : parseDefault(byDefault)),
    ...(bucketKey === undefined ? {} : { bucketKey }),
    ...(blocksCustomerKeys === undefined ? {} : { blocksCustomerKeys }),
  }
}

function parseDefault(node: XmlNode): BucketEncryption {
  const text = node.string('SSEAlgorithm')
  const kmsKeyId = node.maybeString('KMSMasterKeyID')
  node.done()
  const algorithm = ENCRYPTION_ALGORITHMS.find((each) => each === text)
  if (algorithm === undefined) throw node.malformed()
  if (kmsKeyId === undefined || kmsKeyId === '') return { algorithm }
  if (algorithm === 'AES256') {
    const message =
      'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse'
    throw invalidArgument(message, DEFAULT, 'null')
  }
  return { algorithm, kmsKeyId }
}

function parseBlocked(node: XmlNode): boolean {
  const types = node.all('EncryptionType').map((each) => each.leaf())
  node.done()
  if (types.length === 0 || types.some((type) => type !== 'NONE' && type !== 'SSE-C')) throw node.malformed()
  return types.includes('SSE-C')
}

/** What is inside a `<ServerSideEncryptionConfiguration>`. */
export function renderEncryption(encryption: BucketEncryption): string {
  const { algorithm, kmsKeyId, bucketKey = false, blocksCustomerKeys } = encryption
  const byDefault =
    algorithm === undefined
      ? ''
      : wrap(DEFAULT, tag('SSEAlgorithm', algorithm) + optionalTag('KMSMasterKeyID', kmsKeyId))
  const types =
    blocksCustomerKeys === undefined ? '' : tag('EncryptionType', blocksCustomerKeys ? 'SSE-C' : 'NONE')
  const blocked = types === '' ? '' : wrap('BlockedEncryptionTypes', types)
  return wrap('Rule', byDefault + tag('BucketKeyEnabled', bucketKey) + blocked)
}
