/**
 * GetBucketNotificationConfiguration and PutBucketNotificationConfiguration. While a bucket has one, each change in it is
 * noted in the outbox, in the same transaction.
 */
import type { Outcome } from '../../../net/reply.ts'
import { type Notifications, parseNotifications, renderNotifications } from '../notification-document.ts'
import { emptyOutcome, setConfig, xmlOutcome } from '../replies.ts'
import type { S3Context } from '../s3-context.ts'

const ID_BYTES = 16

export function getBucketNotificationConfiguration({ bucket }: S3Context): Outcome {
  const text = bucket.configs.get('notification')
  const xml = text === undefined ? '' : renderNotifications(JSON.parse(text) as Notifications)
  return xmlOutcome('NotificationConfiguration', xml)
}

export async function putBucketNotificationConfiguration(context: S3Context): Promise<Outcome> {
  const { random } = context.services
  const root = await context.readXml('NotificationConfiguration')
  const wanted = parseNotifications(root, () => random.bytes(ID_BYTES).toString('base64url'))
  const isNone = wanted.targets.length === 0 && !wanted.eventBridge
  await setConfig(context, 'notification', isNone ? null : JSON.stringify(wanted))
  return emptyOutcome(200)
}
