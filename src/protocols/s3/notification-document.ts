/** Who wants to be told of what happens in a bucket, as S3 clients send and read it. Kept as JSON. */
import { NOTIFICATION_CONFIGS_MAX, OBJECT_KEY_BYTES_MAX } from '../../base/limits.ts'
import { invalidArgument } from './s3-error.ts'
import type { XmlNode } from './xml-reader.ts'
import { tag, wrap } from './xml-writer.ts'

/** Names of the elements: of a configuration, and of the destination in it. */
const KINDS = {
  topic: ['TopicConfiguration', 'Topic'],
  queue: ['QueueConfiguration', 'Queue'],
  function: ['CloudFunctionConfiguration', 'CloudFunction'],
} as const
type Kind = keyof typeof KINDS

export interface NotificationTarget {
  kind: Kind
  id: string
  /** ARN of the destination. */
  to: string
  /** As S3 names them, with `s3:`; a family ends with `*`. */
  events: readonly string[]
  prefix?: string
  suffix?: string
}

export interface Notifications {
  targets: readonly NotificationTarget[]
  /** Everything goes to the event bus, too. */
  eventBridge: boolean
}

const EVENTS: ReadonlySet<string> = new Set(
  `s3:ReducedRedundancyLostObject s3:ObjectCreated:* s3:ObjectCreated:Put s3:ObjectCreated:Post s3:ObjectCreated:Copy
  s3:ObjectCreated:CompleteMultipartUpload s3:ObjectRemoved:* s3:ObjectRemoved:Delete
  s3:ObjectRemoved:DeleteMarkerCreated s3:ObjectRestore:* s3:ObjectRestore:Post s3:ObjectRestore:Completed
  s3:ObjectRestore:Delete s3:Replication:* s3:Replication:OperationFailedReplication
  s3:Replication:OperationMissedThreshold s3:Replication:OperationReplicatedAfterThreshold
  s3:Replication:OperationNotTracked s3:LifecycleExpiration:* s3:LifecycleExpiration:Delete
  s3:LifecycleExpiration:DeleteMarkerCreated s3:LifecycleTransition s3:IntelligentTiering s3:ObjectTagging:*
  s3:ObjectTagging:Put s3:ObjectTagging:Delete s3:ObjectAcl:Put`.split(/\s+/),
)
const ARN = /^arn:[a-z0-9-]+:[a-z0-9-]+:[A-Za-z0-9-]*:[A-Za-z0-9_.-]*:[^\s:/][^\s]{0,512}$/
const ID_CHARS_MAX = 255

/** What a `<NotificationConfiguration>` says. `newId` names configurations that have no name. */
export function parseNotifications(root: XmlNode, newId: () => string): Notifications {
  const targets = (Object.keys(KINDS) as Kind[]).flatMap((kind) =>
    root.all(KINDS[kind][0]).map((node) => parseTarget(kind, node, newId)),
  )
  const eventBridge = root.maybe('EventBridgeConfiguration') !== undefined
  root.done()
  if (targets.length > NOTIFICATION_CONFIGS_MAX) throw root.malformed()
  if (new Set(targets.map(({ id }) => id)).size < targets.length)
    throw invalidArgument('Same ID used for multiple configurations. IDs must be unique', 'Id', '')
  return { targets, eventBridge }
}

function parseTarget(kind: Kind, node: XmlNode, newId: () => string): NotificationTarget {
  const destination = KINDS[kind][1]
  const id = node.maybeString('Id') ?? ''
  const to = node.string(destination).trim()
  const events = node.all('Event').map((each) => each.leaf().trim())
  const filter = node.maybe('Filter')
  node.done()
  if (id.length > ID_CHARS_MAX) throw node.malformed()
  if (!ARN.test(to)) throw invalidArgument('The ARN is not well formed', destination, to)
  if (events.length === 0) throw node.malformed()
  for (const event of events) {
    if (!EVENTS.has(event))
      throw invalidArgument('A specified event is not supported for notifications.', 'Event', event)
  }
  const chosen = filter === undefined ? {} : parseFilter(filter)
  return { kind, id: id === '' ? newId() : id, to, events, ...chosen }
}

function parseFilter(filter: XmlNode): { prefix?: string; suffix?: string } {
  const key = filter.maybe('S3Key')
  filter.done()
  const chosen: { prefix?: string; suffix?: string } = {}
  for (const rule of key?.all('FilterRule') ?? []) {
    const name = rule.string('Name').trim().toLowerCase()
    const value = rule.string('Value')
    rule.done()
    if (name !== 'prefix' && name !== 'suffix')
      throw invalidArgument('filter rule name must be either prefix or suffix', 'FilterRule.Name', name)
    if (chosen[name] !== undefined) {
      const message = `Cannot specify more than one ${name} rule in a filter.`
      throw invalidArgument(message, 'FilterRule.Name', name)
    }
    if (Buffer.byteLength(value) > OBJECT_KEY_BYTES_MAX)
      throw invalidArgument('Size of filter rule value cannot exceed 1024 bytes', 'FilterRule.Value', value)
    chosen[name] = value
  }
  key?.done()
  return chosen
}

/** What is inside a `<NotificationConfiguration>`. */
export function renderNotifications({ targets, eventBridge }: Notifications): string {
  return targets.map(renderTarget).join('') + (eventBridge ? wrap('EventBridgeConfiguration', '') : '')
}

function renderTarget({ kind, id, to, events, prefix, suffix }: NotificationTarget): string {
  const [element, destination] = KINDS[kind]
  const rule = (name: string, value: string | undefined) =>
    value === undefined ? '' : wrap('FilterRule', tag('Name', name) + tag('Value', value))
  const rules = rule('Prefix', prefix) + rule('Suffix', suffix)
  const filter = rules === '' ? '' : wrap('Filter', wrap('S3Key', rules))
  const list = events.map((event) => tag('Event', event)).join('')
  return wrap(element, tag('Id', id) + tag(destination, to) + list + filter)
}
