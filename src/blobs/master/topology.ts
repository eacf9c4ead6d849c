/**
 * What a master knows of its cluster: data centers, racks, nodes and their volumes. Soft state, learned from
 * heartbeats and forgotten when they stop. Nodes may differ in size and come and go; nothing is moved because of it.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { type ErasureName, groupOf, isErasure, PLAIN_VOLUME_IDS_END } from '../../base/erasure-id.ts'
import { StoreError } from '../../base/errors.ts'
import { HEARTBEAT_PERIODS_MISSED_MAX, NODES_MAX } from '../../base/limits.ts'
import type { NewVolume, VolumeInfo } from '../../disk/volume-admin.ts'
import type { Heartbeat } from '../cluster-wire.ts'
import { KEYED_COLLECTION_PREFIX } from '../keyed-blobs.ts'
import { KEY_ASSIGNED_END } from '../master-state.ts'
import { type ErasureGroup, erasureGroups } from './erasure-groups.ts'
import { isWritable, maxKeyOf, type TopologyNode } from './topology-node.ts'
import { TrafficWindow } from './traffic-window.ts'

/** A class of volumes that may stand in for each other. */
export interface Layout {
  collection: string
  /** Stored replication byte. */
  replicaPlacement: number
  /** Stored TTL. */
  ttl: number
}

/** Where a volume may be; '' means anywhere. */
export interface Place {
  dataCenter: string
  rack: string
  /** `host:port` or id of a node. */
  dataNode: string
}

export interface Candidate {
  /** Of an erasure group, that of its first shard. */
  volumeId: number
  /** That of the first shard that can be written. */
  node: TopologyNode
  /** Of an erasure group: the server of each shard that can be written. */
  members?: readonly (TopologyNode | undefined)[]
}

export type HeartbeatEffect = 'joined' | 'updated' | 'late' | 'left'

const DATA_CENTER_DEFAULT = 'DefaultDataCenter'
const RACK_DEFAULT = 'DefaultRack'

const PAST_BOOTS_MAX = 16
/** For this many periods a heartbeat may be older than a create or delete that the master knows of. */
const STALE_PERIODS = 3
const GONE_MAX = 100_000

export class Topology {
  readonly #clock: Clock
  readonly #nodes = new Map<string, TopologyNode>()
  readonly #locations = new Map<number, TopologyNode[]>()
  /** Volumes that nodes have deleted for the master, by `goneKey`; until when a heartbeat that still has them is not believed, monotonic. */
  readonly #gone = new Map<string, number>()
  #candidates: Map<string, Candidate[]> | undefined
  #groups: readonly ErasureGroup[] | undefined
  #lastExpireMs: number
  #generation = 0
  #maxVolumeId = 0
  #erasureGroupsEnd = 0
  /** Erasure groups that are not whole yet. */
  readonly #growing = new Set<number>()
  #maxKey = 0n

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastExpireMs = clock.monotonicMs()
  }

  /** Changes whenever a volume comes, goes, or starts or stops to be writable. */
  get generation(): number {
    return this.#generation
  }

  /** Largest id of a plain volume ever reported. */
  get maxVolumeId(): number {
    return this.#maxVolumeId
  }

  /** One past the largest number of an erasure group ever reported. */
  get erasureGroupsEnd(): number {
    return this.#erasureGroupsEnd
  }

  /** Largest key ever reported that does not lie in the part that is never assigned. */
  get maxKey(): bigint {
    return this.#maxKey
  }

  get nodeCount(): number {
    return this.#nodes.size
  }

  /** In the order of their data center, rack and url. */
  nodes(): TopologyNode[] {
    const place = (node: TopologyNode) => `${node.dataCenter}\0${node.rack}\0${node.url}`
    return [...this.#nodes.values()].sort((a, b) => (place(a) < place(b) ? -1 : 1))
  }

  /** Takes in a node's state. Throws `conflict` when its id or address belongs to another live process. */
  takeHeartbeat(heartbeat: Heartbeat): HeartbeatEffect {
    const known = this.#nodes.get(heartbeat.nodeId)
    if (known !== undefined && this.#isLate(known, heartbeat)) return 'late'
    if (heartbeat.leaving) {
      if (known !== undefined) this.#removeNode(known)
      return 'left'
    }
    this.#refuseConflict(heartbeat, known)
    const node = known ?? newNode(heartbeat.nodeId)
    this.#nodes.set(node.nodeId, node)
    if (known !== undefined && known.bootId !== heartbeat.bootId) {
      known.pastBootIds = [known.bootId, ...known.pastBootIds].slice(0, PAST_BOOTS_MAX)
    }
    const movedOrNew = known === undefined || placeOf(node) !== placeOf(withDefaults(heartbeat))
    const { nodeId: _, volumes, ...rest } = withDefaults(heartbeat)
    Object.assign(node, pickNodeFields(rest), { lastSeenMs: this.#clock.monotonicMs() })
    if (heartbeat.traffic !== undefined) node.traffic.note(node.lastSeenMs, heartbeat.traffic)
    this.#takeVolumes(node, volumes, movedOrNew)
    return known === undefined ? 'joined' : 'updated'
  }

  #isLate(known: TopologyNode, heartbeat: Heartbeat): boolean {
    if (known.bootId === heartbeat.bootId) return heartbeat.sequence <= known.sequence
    return known.pastBootIds.includes(heartbeat.bootId)
  }

  #refuseConflict(heartbeat: Heartbeat, known: TopologyNode | undefined): void {
    if (known !== undefined && known.bootId !== heartbeat.bootId && known.url !== heartbeat.url) {
      throw new StoreError(
        'conflict',
        `node id ${known.nodeId} is alive at ${known.url}: is its data directory a copy?`,
      )
    }
    for (const other of this.#nodes.values()) {
      if (other !== known && other.url === heartbeat.url) {
        throw new StoreError(
          'conflict',
          `${other.url} is the address of node ${other.nodeId}, which is alive`,
        )
      }
    }
    if (known === undefined && this.#nodes.size >= NODES_MAX) {
      throw new StoreError('conflict', `the cluster has its largest number of nodes, ${NODES_MAX}`)
    }
  }

  #takeVolumes(node: TopologyNode, reported: VolumeInfo[], changed: boolean): void {
    const now = this.#clock.monotonicMs()
    const before = node.volumes
    const writableBefore = writableIds(before, node)
    node.volumes = new Map()
    for (const info of reported) {
      if ((this.#gone.get(goneKey(node, info.id)) ?? 0) > now) continue
      node.volumes.set(info.id, info)
      node.made.delete(info.id)
      this.#noteMaxima(info)
    }
    for (const [id, untilMs] of node.made) {
      const info = before.get(id)
      if (untilMs > now && info !== undefined) node.volumes.set(id, info)
      else node.made.delete(id)
    }
    for (const id of before.keys()) if (!node.volumes.has(id)) this.#removeLocation(id, node)
    for (const id of node.volumes.keys()) if (!before.has(id)) this.#addLocation(id, node)
    if (changed || writableIds(node.volumes, node) !== writableBefore) this.#changed()
  }

  #noteMaxima(info: VolumeInfo): void {
    this.#noteId(info.id)
    // Keys that were hashed from names say nothing about those that were given out.
    if (info.collection.startsWith(KEYED_COLLECTION_PREFIX)) return
    const key = maxKeyOf(info)
    if (key < KEY_ASSIGNED_END && key > this.#maxKey) this.#maxKey = key
  }

  #noteId(id: number): void {
    if (id < PLAIN_VOLUME_IDS_END) this.#maxVolumeId = Math.max(this.#maxVolumeId, id)
    else if (isErasure(id)) this.#erasureGroupsEnd = Math.max(this.#erasureGroupsEnd, groupOf(id) + 1)
  }

  /** Takes out the nodes that were not heard of for too long, and returns them. Call it often. */
  expire(periodMs: number): TopologyNode[] {
    const now = this.#clock.monotonicMs()
    const sinceLastMs = now - this.#lastExpireMs
    this.#lastExpireMs = now
    const expired: TopologyNode[] = []
    for (const node of this.#nodes.values()) {
      // If this process itself stood still, heartbeats wait unread: that is no fault of the nodes.
      const isStalled = sinceLastMs > Math.max(2 * periodMs, node.periodMs)
      if (isStalled) node.lastSeenMs += sinceLastMs - periodMs
      if (now - node.lastSeenMs > node.periodMs * HEARTBEAT_PERIODS_MISSED_MAX) expired.push(node)
    }
    for (const node of expired) this.#removeNode(node)
    for (const [id, untilMs] of this.#gone) if (untilMs <= now) this.#gone.delete(id)
    return expired
  }

  #removeNode(node: TopologyNode): void {
    this.#nodes.delete(node.nodeId)
    for (const id of node.volumes.keys()) this.#removeLocation(id, node)
    node.volumes = new Map()
    this.#changed()
  }

  /** Nodes that have the volume; with `collection`, only if it is of that one. */
  lookup(volumeId: number, collection = ''): TopologyNode[] {
    const nodes = this.#locations.get(volumeId) ?? []
    if (collection === '') return nodes
    return nodes.filter((node) => node.volumes.get(volumeId)?.collection === collection)
  }

  /** All erasure groups that have volumes. */
  erasureGroups(): readonly ErasureGroup[] {
    this.#groups ??= erasureGroups(this.nodes(), (id) => this.#locations.get(id)?.length === 1)
    return this.#groups
  }

  /** Erasure groups that may be written: those that are whole, or where there is none those that do without some shards. */
  writableGroups(layout: Layout, name: ErasureName): Candidate[] {
    const groups = this.erasureGroups().filter(
      (group) =>
        group.isWritable &&
        group.layout.name === name &&
        layoutKey(group) === layoutKey(layout) &&
        !this.#growing.has(group.volumeId),
    )
    const whole = groups.filter((group) => group.isWhole)
    return (whole.length > 0 ? whole : groups).map(({ volumeId, writable }) => ({
      volumeId,
      node: writable.find((node) => node !== undefined)!,
      members: writable,
    }))
  }

  /** Nobody is sent to an erasure group while it is being made, as far as it may have come. */
  isGrowing(groupVolumeId: number): boolean {
    return this.#growing.has(groupVolumeId)
  }

  setGrowing(groupVolumeId: number, isGrowing: boolean): void {
    if (isGrowing) this.#growing.add(groupVolumeId)
    else this.#growing.delete(groupVolumeId)
    this.#changed()
  }

  /** Plain volumes that may be written, of a layout, within a place. */
  writable(layout: Layout, place: Place): Candidate[] {
    const candidates = this.#allCandidates().get(layoutKey(layout)) ?? []
    return isAnywhere(place) ? candidates : candidates.filter(({ node }) => isWithin(node, place))
  }

  /** Every layout that has plain volumes, with the ids of those that may be written. */
  layouts(): { layout: Layout; writables: number[] }[] {
    const layouts = new Map<string, { layout: Layout; writables: number[] }>()
    for (const node of this.nodes()) {
      for (const info of node.volumes.values()) {
        if (isErasure(info.id)) continue
        const { collection, replicaPlacement, ttl } = info
        const key = layoutKey(info)
        if (!layouts.has(key))
          layouts.set(key, { layout: { collection, replicaPlacement, ttl }, writables: [] })
      }
    }
    for (const [key, entry] of layouts) {
      entry.writables = (this.#allCandidates().get(key) ?? [])
        .map((each) => each.volumeId)
        .sort((a, b) => a - b)
    }
    return [...layouts.values()]
  }

  #allCandidates(): Map<string, Candidate[]> {
    if (this.#candidates !== undefined) return this.#candidates
    const candidates = new Map<string, Candidate[]>()
    for (const node of this.nodes()) {
      for (const info of node.volumes.values()) {
        if (isErasure(info.id)) continue
        // Two nodes with one volume of a single copy hold files that were copied by hand: a write would part them.
        if (this.#locations.get(info.id)?.length !== 1 || !isWritable(info, node)) continue
        const key = layoutKey(info)
        const list = candidates.get(key)
        if (list === undefined) candidates.set(key, [{ volumeId: info.id, node }])
        else list.push({ volumeId: info.id, node })
      }
    }
    this.#candidates = candidates
    return candidates
  }

  /** Nodes within a place. */
  nodesWithin(place: Place): TopologyNode[] {
    return this.nodes().filter((node) => isWithin(node, place))
  }

  /** Throws `bad_request` when no node is in the place, naming the part of it that is unknown. */
  checkPlace(place: Place): void {
    const narrowing: [name: string, value: string, place: Place][] = [
      ['data center', place.dataCenter, { dataCenter: place.dataCenter, rack: '', dataNode: '' }],
      ['rack', place.rack, { dataCenter: place.dataCenter, rack: place.rack, dataNode: '' }],
      ['data node', place.dataNode, place],
    ]
    for (const [name, value, part] of narrowing) {
      if (value !== '' && this.nodesWithin(part).length === 0) {
        throw new StoreError('bad_request', `${name} ${value.slice(0, 256)} not found in topology`)
      }
    }
  }

  /** All volumes of a collection, with their nodes. */
  volumesOf(collection: string): { info: VolumeInfo; node: TopologyNode }[] {
    return this.nodes().flatMap((node) =>
      [...node.volumes.values()]
        .filter((info) => info.collection === collection)
        .map((info) => ({ info, node })),
    )
  }

  /** A node has made a volume that the master asked for. */
  volumeMade(node: TopologyNode, volume: NewVolume): void {
    // The node may have left, or told by itself, while the call was under way.
    if (this.#nodes.get(node.nodeId) !== node || node.volumes.has(volume.id)) return
    node.made.set(volume.id, this.#clock.monotonicMs() + STALE_PERIODS * node.periodMs)
    node.volumes.set(volume.id, emptyVolume(volume))
    this.#noteId(volume.id)
    this.#addLocation(volume.id, node)
    this.#changed()
  }

  /** A node has deleted a volume that the master asked it to. */
  volumeGone(node: TopologyNode, volumeId: number): void {
    if (this.#gone.size < GONE_MAX) {
      this.#gone.set(goneKey(node, volumeId), this.#clock.monotonicMs() + STALE_PERIODS * node.periodMs)
    }
    node.made.delete(volumeId)
    if (!node.volumes.delete(volumeId)) return
    this.#removeLocation(volumeId, node)
    this.#changed()
  }

  /** A node has opened a volume that came from another one, which has it still. Nobody writes to either. */
  volumeArrived(node: TopologyNode, volumeId: number, from: TopologyNode): void {
    const info = from.volumes.get(volumeId)
    if (this.#nodes.get(node.nodeId) !== node || node.volumes.has(volumeId) || info === undefined) return
    this.#gone.delete(goneKey(node, volumeId))
    node.made.set(volumeId, this.#clock.monotonicMs() + STALE_PERIODS * node.periodMs)
    node.volumes.set(volumeId, { ...info, directory: '', readOnly: true, moving: true })
    this.#addLocation(volumeId, node)
  }

  /** The node with that `host:port`, for servers or clients, or that id. */
  findNode(name: string): TopologyNode | undefined {
    return [...this.#nodes.values()].find(
      (node) => node.url === name || node.publicUrl === name || node.nodeId === name,
    )
  }

  #addLocation(volumeId: number, node: TopologyNode): void {
    const nodes = this.#locations.get(volumeId)
    if (nodes === undefined) this.#locations.set(volumeId, [node])
    else if (!nodes.includes(node)) this.#locations.set(volumeId, [...nodes, node])
    this.#changed()
  }

  #removeLocation(volumeId: number, node: TopologyNode): void {
    const nodes = this.#locations.get(volumeId)?.filter((each) => each !== node) ?? []
    if (nodes.length === 0) this.#locations.delete(volumeId)
    else this.#locations.set(volumeId, nodes)
    this.#changed()
  }

  #changed(): void {
    this.#generation += 1
    this.#candidates = undefined
    this.#groups = undefined
  }
}

function goneKey(node: TopologyNode, volumeId: number): string {
  return `${volumeId} ${node.nodeId}`
}

export function layoutKey(layout: Layout): string {
  return `${layout.replicaPlacement}/${layout.ttl}/${layout.collection}`
}

function writableIds(volumes: Map<number, VolumeInfo>, node: TopologyNode): string {
  let ids = ''
  for (const info of volumes.values()) if (isWritable(info, node)) ids += `${info.id},`
  return ids
}

function isAnywhere(place: Place): boolean {
  return place.dataCenter === '' && place.rack === '' && place.dataNode === ''
}

function isWithin(node: TopologyNode, place: Place): boolean {
  return (
    (place.dataCenter === '' || place.dataCenter === node.dataCenter) &&
    (place.rack === '' || place.rack === node.rack) &&
    (place.dataNode === '' || place.dataNode === node.url || place.dataNode === node.nodeId)
  )
}

function placeOf(node: { dataCenter: string; rack: string; url: string; publicUrl: string }): string {
  return [node.dataCenter, node.rack, node.url, node.publicUrl].join('\0')
}

function withDefaults(heartbeat: Heartbeat): Heartbeat {
  const { dataCenter, rack } = heartbeat
  return { ...heartbeat, dataCenter: dataCenter || DATA_CENTER_DEFAULT, rack: rack || RACK_DEFAULT }
}

function newNode(nodeId: string): TopologyNode {
  return {
    nodeId,
    bootId: '',
    sequence: 0,
    url: '',
    publicUrl: '',
    dataCenter: '',
    rack: '',
    periodMs: 0,
    lastSeenMs: 0,
    volumeSizeLimitBytes: 0,
    directories: [],
    volumes: new Map(),
    creating: 0,
    made: new Map(),
    pastBootIds: [],
    traffic: new TrafficWindow(),
  }
}

function pickNodeFields(heartbeat: Omit<Heartbeat, 'nodeId' | 'volumes'>): Partial<TopologyNode> {
  const { bootId, sequence, url, publicUrl, dataCenter, rack, periodMs, volumeSizeLimitBytes, directories } =
    heartbeat
  assert(periodMs > 0, 'a heartbeat has a period')
  return { bootId, sequence, url, publicUrl, dataCenter, rack, periodMs, volumeSizeLimitBytes, directories }
}

function emptyVolume(volume: NewVolume): VolumeInfo {
  return {
    directory: '',
    ...volume,
    sizeBytes: 8,
    fileCount: 0,
    deleteCount: 0,
    deletedBytes: 0,
    readOnly: false,
    full: false,
    failed: false,
    diskFull: false,
    damageFound: 0,
    compactionRevision: 0,
    maxKeyHigh: 0,
    maxKeyLow: 0,
    modifiedS: 0,
  }
}
