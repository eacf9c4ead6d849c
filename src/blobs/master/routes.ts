/** What a master answers to each path, as outcomes. Who may ask, and how bodies arrive, is `master-server.ts`. */

import type { Clock } from '../../base/clock.ts'
import { type ErrorCode, StoreError } from '../../base/errors.ts'
import { formatFid, parseFid, parseVolumeId } from '../../base/fid.ts'
import { JWT_READ_S, JWT_WRITE_S } from '../../base/limits.ts'
import { USUAL_STATUS } from '../../net/error-status.ts'
import { signFidToken } from '../../net/jwt.ts'
import { errorOutcome, jsonOutcome, type Outcome } from '../../net/reply.ts'
import type { Master } from './master.ts'
import { assignRequest, garbageThreshold, growCount, layoutAndPlace, type Params } from './params.ts'
import { collectionInfo, dirStatus, type StatusContext, volStatus } from './status.ts'

export interface RouteContext {
  master: Master
  clock: Clock
  /** `host:port` that this master is known by. */
  url: string
  scheme: 'http' | 'https'
  version: string
  replication: string
  garbageThreshold: number
  /** Keys of the tokens that volume servers ask for; undefined when they ask for none. */
  signingKey: string | undefined
  readSigningKey: string | undefined
  metrics: (() => Promise<{ contentType: string; text: string }>) | undefined
}

export interface RouteRequest {
  method: string
  path: string
  /** With its `?`, or ''. */
  search: string
  params: Params
  pretty: boolean
}

type Route = (context: RouteContext, request: RouteRequest) => Outcome | Promise<Outcome>

const READ = ['GET', 'HEAD', 'POST']
const CHANGE = ['GET', 'POST', 'PUT']

/** Paths with the methods they take. SeaweedFS changes things by GET too, and its clients do. */
const ROUTES: Record<string, { methods: string[]; route: Route }> = {
  '/': { methods: READ, route: answerDirStatus },
  '/dir/assign': { methods: CHANGE, route: answerAssign },
  '/dir/lookup': { methods: READ, route: answerLookup },
  '/dir/status': { methods: READ, route: answerDirStatus },
  '/vol/grow': { methods: CHANGE, route: answerGrow },
  '/vol/vacuum': { methods: CHANGE, route: answerVacuum },
  '/vol/status': { methods: READ, route: answerVolStatus },
  '/col/delete': { methods: [...CHANGE, 'DELETE'], route: answerCollectionDelete },
  '/collection/info': { methods: READ, route: answerCollectionInfo },
  '/cluster/status': { methods: READ, route: answerClusterStatus },
  '/cluster/healthz': { methods: READ, route: () => EMPTY_OK },
  '/healthz': { methods: READ, route: () => EMPTY_OK },
  '/readyz': { methods: READ, route: answerReady },
  '/metrics': { methods: READ, route: answerMetrics },
}

const EMPTY_OK: Outcome = { status: 200, headers: [], body: undefined }

/** HTTP status of each error code at a master's door. 406 is what its clients know for "not with these parameters". */
const MASTER_STATUS = {
  ...USUAL_STATUS,
  collection_not_found: 400,
  volume_full: 507,
  no_writable_volume: 406,
  in_use: 500,
  unsupported: 406,
} as const satisfies Record<ErrorCode, number>

export function hasRoute(path: string): boolean {
  return Object.hasOwn(ROUTES, path)
}

/** The outcome of a request, errors included; throws only for bugs. */
export async function answer(context: RouteContext, request: RouteRequest): Promise<Outcome> {
  try {
    const known = hasRoute(request.path) ? ROUTES[request.path] : undefined
    if (known === undefined) return redirect(context, request)
    if (!known.methods.includes(request.method)) return methodNotAllowed(known.methods, request.pretty)
    return await known.route(context, request)
  } catch (error) {
    return failed(error, request.pretty)
  }
}

/** The reply for a StoreError; anything else is a bug and goes on. */
export function failed(error: unknown, pretty: boolean): Outcome {
  if (!(error instanceof StoreError)) throw error
  const outcome = errorOutcome(MASTER_STATUS[error.code], error.message, pretty)
  if (outcome.status === 503 || outcome.status === 429) outcome.headers.push('Retry-After', '1')
  return outcome
}

export function methodNotAllowed(methods: string[], pretty: boolean): Outcome {
  const outcome = errorOutcome(405, `method not allowed, use ${methods.join(', ')}`, pretty)
  outcome.headers.push('Allow', methods.join(', '))
  return outcome
}

/** The token for writing to a file id. */
export function writeToken(context: RouteContext, fid: string): string | undefined {
  if (context.signingKey === undefined) return undefined
  return signFidToken(context.signingKey, fid, Math.floor(context.clock.nowMs() / 1000) + JWT_WRITE_S)
}

async function answerAssign(context: RouteContext, { params, pretty }: RouteRequest): Promise<Outcome> {
  const { fid, count, node } = await context.master.assigner.assign(assignRequest(params, context))
  const text = formatFid(fid)
  const outcome = jsonOutcome(200, { fid: text, url: node.url, publicUrl: node.publicUrl, count }, pretty)
  const token = writeToken(context, text)
  if (token !== undefined) outcome.headers.push('Authorization', `Bearer ${token}`)
  return outcome
}

function answerLookup(context: RouteContext, { params, pretty }: RouteRequest): Outcome {
  const { master } = context
  const fileId = params.text('fileId')
  const asked = fileId || params.text('volumeId')
  if (asked === '') throw new StoreError('bad_request', 'volumeId or fileId is required')
  const comma = asked.indexOf(',')
  const volume = comma > 0 ? asked.slice(0, comma) : asked
  const ids = { volumeId: volume, volumeOrFileId: volume }
  let locations: object[] = []
  try {
    locations = master.topology
      .lookup(parseVolumeId(volume), params.text('collection'))
      .map(({ url, publicUrl, dataCenter }) => ({ url, publicUrl, dataCenter }))
  } catch (error) {
    if (error instanceof StoreError) return jsonOutcome(404, { ...ids, error: error.message }, pretty)
    throw error
  }
  if (locations.length === 0) {
    const reason = master.unknowing()
    if (reason !== undefined) throw new StoreError('unavailable', reason)
    return jsonOutcome(404, { ...ids, error: `volume id ${volume} not found` }, pretty)
  }
  const outcome = jsonOutcome(200, { ...ids, locations }, pretty)
  const token = fileId === '' ? undefined : lookupToken(context, fileId, params.text('read') === 'yes')
  if (token !== undefined) outcome.headers.push('Authorization', `Bearer ${token}`)
  return outcome
}

function lookupToken(context: RouteContext, fileId: string, isRead: boolean): string | undefined {
  const { signingKey, readSigningKey, clock } = context
  if ((isRead ? readSigningKey : signingKey) === undefined) return undefined
  // The token is for the id without its delta, as volume servers check it.
  const underscore = fileId.lastIndexOf('_')
  const fid = formatFid(parseFid(underscore > 0 ? fileId.slice(0, underscore) : fileId))
  if (!isRead) return writeToken(context, fid)
  return signFidToken(readSigningKey!, fid, Math.floor(clock.nowMs() / 1000) + JWT_READ_S)
}

function statusContext({ master, version }: RouteContext): StatusContext {
  return { topology: master.topology, clusterId: master.state.clusterId, version }
}

function answerDirStatus(context: RouteContext, { pretty }: RouteRequest): Outcome {
  return jsonOutcome(200, dirStatus(statusContext(context)), pretty)
}

function answerVolStatus(context: RouteContext, { pretty }: RouteRequest): Outcome {
  return jsonOutcome(200, volStatus(statusContext(context)), pretty)
}

async function answerGrow(context: RouteContext, { params, pretty }: RouteRequest): Promise<Outcome> {
  const { master } = context
  const { layout, place } = layoutAndPlace(params, context)
  const count = growCount(params)
  const reason = master.unknowing()
  if (reason !== undefined) throw new StoreError('unavailable', reason)
  master.topology.checkPlace(place)
  const room = master.growth.room(place)
  if (room < count) {
    throw new StoreError('no_writable_volume', `only ${room} volumes left, not enough for ${count}`)
  }
  return jsonOutcome(200, { count: await master.growth.grow({ layout, place, count }) }, pretty)
}

async function answerVacuum(context: RouteContext, request: RouteRequest): Promise<Outcome> {
  await context.master.vacuum.run(garbageThreshold(request.params, context.garbageThreshold))
  return answerDirStatus(context, request)
}

async function answerCollectionDelete({ master }: RouteContext, { params }: RouteRequest): Promise<Outcome> {
  await master.deleteCollection(params.text('collection'))
  return { status: 204, headers: [], body: undefined }
}

function answerCollectionInfo(context: RouteContext, { params, pretty }: RouteRequest): Outcome {
  const collection = params.text('collection')
  if (collection === '') throw new StoreError('bad_request', 'collection is required')
  const info = collectionInfo(statusContext(context), collection, params.text('detail') === 'true')
  if (info !== undefined) return jsonOutcome(200, info, pretty)
  const reason = context.master.unknowing()
  if (reason !== undefined) throw new StoreError('unavailable', reason)
  throw new StoreError('collection_not_found', `collection ${collection.slice(0, 256)} does not exist`)
}

function answerClusterStatus({ master, url }: RouteContext, { pretty }: RouteRequest): Outcome {
  const volumeIdMax = Math.max(master.topology.maxVolumeId, master.state.volumeIdMax)
  return jsonOutcome(200, { IsLeader: true, Leader: url, MaxVolumeId: volumeIdMax || undefined }, pretty)
}

function answerReady({ master }: RouteContext, { pretty }: RouteRequest): Outcome {
  const reason = master.unknowing()
  if (reason === undefined) return EMPTY_OK
  return failed(new StoreError('unavailable', reason), pretty)
}

async function answerMetrics({ metrics }: RouteContext): Promise<Outcome> {
  if (metrics === undefined) throw new StoreError('not_found', 'this process has no metrics')
  const { contentType, text } = await metrics()
  return { status: 200, headers: ['Content-Type', contentType], body: Buffer.from(text) }
}

/** `/3,0163…` goes on to the volume server that has the volume, whatever the method. */
function redirect(context: RouteContext, { path, search, params, pretty }: RouteRequest): Outcome {
  const match = /^\/([^/,]+)[,/][^/]/.exec(path)
  if (match === null) return errorOutcome(404, 'no such path', pretty)
  const [volume, { master }] = [match[1]!, context]
  const id = /^[0-9]{1,10}$/.test(volume) ? Number(volume) : -1
  const nodes = master.topology.lookup(id, params.text('collection'))
  if (nodes.length === 0) {
    const reason = id >= 0 ? master.unknowing() : undefined
    if (reason !== undefined) throw new StoreError('unavailable', reason)
    return errorOutcome(404, `volume id ${volume.slice(0, 64)} not found`, pretty)
  }
  const location = `${context.scheme}://${nodes[0]!.publicUrl}${path}${search}`
  return { status: 308, headers: ['Location', location], body: undefined }
}
