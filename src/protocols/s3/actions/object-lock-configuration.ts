/** GetObjectLockConfiguration and PutObjectLockConfiguration: whether versions can be locked, and for how long they are by default. */
import type { Outcome } from '../../../net/reply.ts'
import type { DefaultRetention } from '../../../objects/lock-rules.ts'
import { emptyOutcome, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { XmlNode } from '../xml-reader.ts'
import { optionalTag, tag, wrap } from '../xml-writer.ts'

const DAYS_MAX = 36_500
const YEARS_MAX = 100

export function getObjectLockConfiguration({ bucket }: S3Context): Outcome {
  if (!bucket.objectLock) throw new S3Error('ObjectLockConfigurationNotFoundError')
  const text = bucket.configs.get('object_lock')
  const { mode, days, years } = text === undefined ? {} : (JSON.parse(text) as DefaultRetention)
  const period = optionalTag('Days', days) + optionalTag('Years', years)
  const rule = mode === undefined ? '' : wrap('Rule', wrap('DefaultRetention', tag('Mode', mode) + period))
  return xmlOutcome('ObjectLockConfiguration', tag('ObjectLockEnabled', 'Enabled') + rule)
}

export async function putObjectLockConfiguration(context: S3Context): Promise<Outcome> {
  const { bucket, objects } = context
  const root = await context.readXml('ObjectLockConfiguration')
  root.word('ObjectLockEnabled', ['Enabled'])
  const rule = root.maybe('Rule')
  root.done()
  const retention = rule === undefined ? undefined : parseRule(rule)
  if (!bucket.objectLock && bucket.versioning !== 'enabled') {
    const message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
    throw new S3Error('InvalidBucketState', message)
  }
  const text = retention === undefined ? null : JSON.stringify(retention)
  await objects.changeBucket(bucket, { objectLock: true, configs: { object_lock: text } })
  return emptyOutcome(200)
}

function parseRule(rule: XmlNode): DefaultRetention {
  const node = rule.one('DefaultRetention')
  rule.done()
  const mode = node.word('Mode', ['GOVERNANCE', 'COMPLIANCE'])
  const days = node.maybeInteger('Days')
  const years = node.maybeInteger('Years')
  node.done()
  if ((days === undefined) === (years === undefined)) throw node.malformed()
  const count = days ?? years!
  const name = days === undefined ? 'Years' : 'Days'
  if (count < 1) {
    const message = 'Default retention period must be a positive integer value.'
    throw invalidArgument(message, name, String(count))
  }
  if (count > (days === undefined ? YEARS_MAX : DAYS_MAX)) {
    const message = 'Default retention period too large'
    throw invalidArgument(message, name, String(count))
  }
  return days === undefined ? { mode, years: count } : { mode, days: count }
}
