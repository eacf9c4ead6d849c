/** Where the access logs of a bucket go, as S3 clients send and read it. Kept as JSON. */
import { ACL_PERMISSIONS, type Grant } from '../../iam/acl.ts'
import type { Identities } from '../../iam/identities.ts'
import { parseGrantee, renderGrants } from './acl-document.ts'
import { S3Error } from './s3-error.ts'
import type { XmlNode } from './xml-reader.ts'
import { optionalTag, tag, wrap } from './xml-writer.ts'

export interface Logging {
  bucket: string
  prefix: string
  /** On the log objects, beside those of their owner. */
  grants: readonly Grant[]
  /** Keys have the source and the day in them. */
  partitionedBy?: 'EventTime' | 'DeliveryTime'
  /** Asked for by name, so that it is told again. */
  isSimple?: true
}

const PERMISSIONS = ACL_PERMISSIONS.filter((each) => each !== 'WRITE_ACP' && each !== 'READ_ACP')
const GRANTS_MAX = 100

/** Undefined: logging is off. */
export function parseLogging(root: XmlNode, identities: Identities): Logging | undefined {
  const enabled = root.maybe('LoggingEnabled')
  root.done()
  if (enabled === undefined) return undefined
  const bucket = enabled.string('TargetBucket').trim()
  const prefix = enabled.string('TargetPrefix')
  const grants = parseTargetGrants(enabled.maybe('TargetGrants'), identities)
  const format = enabled.maybe('TargetObjectKeyFormat')
  enabled.done()
  if (bucket === '') throw new S3Error('InvalidTargetBucketForLogging')
  return { bucket, prefix, grants, ...(format === undefined ? {} : parseFormat(format)) }
}

function parseTargetGrants(node: XmlNode | undefined, identities: Identities): Grant[] {
  if (node === undefined) return []
  const nodes = node.all('Grant')
  node.done()
  if (nodes.length > GRANTS_MAX) throw node.malformed()
  return nodes.map((each): Grant => {
    const grantee = parseGrantee(each.one('Grantee'), identities)
    const permission = each.word('Permission', PERMISSIONS)
    each.done()
    return { grantee, permission }
  })
}

function parseFormat(node: XmlNode): Pick<Logging, 'partitionedBy' | 'isSimple'> {
  const [simple, partitioned] = [node.maybe('SimplePrefix'), node.maybe('PartitionedPrefix')]
  node.done()
  if ((simple === undefined) === (partitioned === undefined)) throw node.malformed()
  if (partitioned === undefined) return { isSimple: true }
  const partitionedBy = partitioned.maybeWord('PartitionDateSource', ['EventTime', 'DeliveryTime'])
  partitioned.done()
  return { partitionedBy: partitionedBy ?? 'DeliveryTime' }
}

/** What is inside a `<BucketLoggingStatus>`. */
export function renderLogging(logging: Logging, identities: Identities): string {
  const { bucket, prefix, grants, partitionedBy, isSimple } = logging
  const list = grants.length === 0 ? '' : wrap('TargetGrants', renderGrants(grants, identities))
  const partitioned = optionalTag('PartitionDateSource', partitionedBy)
  const format =
    partitionedBy !== undefined
      ? wrap('TargetObjectKeyFormat', wrap('PartitionedPrefix', partitioned))
      : isSimple === true
        ? wrap('TargetObjectKeyFormat', wrap('SimplePrefix', ''))
        : ''
  return wrap('LoggingEnabled', tag('TargetBucket', bucket) + list + tag('TargetPrefix', prefix) + format)
}
