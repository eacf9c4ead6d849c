/** `/submit`: a form with a file is given an id and stored on its volume server, in one request of the client. */
import { StoreError } from '../../base/errors.ts'
import { formatFid } from '../../base/fid.ts'
import { CLUSTER_MESSAGE_BYTES_MAX, SUBMIT_ATTEMPTS_MAX } from '../../base/limits.ts'
import { formatTtl } from '../../base/ttl.ts'
import { ConnectionError, type HttpClient } from '../../net/http-client.ts'
import { fileOfForm, formBoundary } from '../../net/multipart.ts'
import { errorOutcome, jsonOutcome, type Outcome } from '../../net/reply.ts'
import type { Assigner, Assignment, AssignRequest } from './assign.ts'

export interface SubmitContext {
  assigner: Assigner
  http: HttpClient
  scheme: 'http' | 'https'
  /** The token for writing to a file id, where the store asks for tokens. */
  writeToken: (fid: string) => string | undefined
}

export interface Submission {
  /** Value of the Content-Type header. */
  contentType: string
  /** `Authorization`, `Seaweed-*`: what the volume server must see too. */
  headers: Record<string, string>
  body: Buffer
  request: AssignRequest
  pretty: boolean
  /** The body is a chunk manifest. */
  isManifest?: boolean
}

/** Where a body was stored; or `outcome`, the volume server's refusal. */
export interface Placed {
  fid: string
  /** On the volume server, without query. */
  url: string
  fileUrl: string
  eTag: string
  name: string
  sizeBytes: number
  outcome: Outcome | undefined
}

/** Throws what an assign throws, and `bad_request` for a form that is not one; the volume server's refusal is the reply. */
export async function submit(context: SubmitContext, submission: Submission): Promise<Outcome> {
  const boundary = formBoundary(submission.contentType)
  if (boundary === undefined) throw new StoreError('bad_request', 'Content-Type must be multipart/form-data')
  // A form that the volume server would refuse costs no id and no transfer.
  fileOfForm(submission.body, boundary)
  const { outcome, eTag, fid, name, fileUrl, sizeBytes } = await place(context, submission)
  if (outcome !== undefined) return outcome
  return jsonOutcome(201, { eTag, fid, fileName: name, fileUrl, size: sizeBytes }, submission.pretty)
}

/** Stores one body under a new id, on another volume where one refuses. Throws what an assign throws. */
export async function place(context: SubmitContext, submission: Submission): Promise<Placed> {
  let lastFailure: Placed | StoreError | undefined
  for (let attempt = 0; attempt < SUBMIT_ATTEMPTS_MAX; attempt++) {
    const assignment = await context.assigner.assign(submission.request)
    try {
      const placed = await forward(context, submission, assignment)
      // Full, closed for writing, or gone since the assign: another volume will do.
      if (![404, 409, 503, 507].includes(placed.outcome?.status ?? 201)) return placed
      lastFailure = placed
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.requestSent) throw error
      lastFailure = error
    }
  }
  if (lastFailure instanceof StoreError) throw lastFailure
  return lastFailure!
}

async function forward(
  context: SubmitContext,
  submission: Submission,
  assignment: Assignment,
): Promise<Placed> {
  const { http, scheme, writeToken } = context
  const fid = formatFid(assignment.fid)
  const query = new URLSearchParams()
  const [ttl, token] = [formatTtl(submission.request.layout.ttl), writeToken(fid)]
  if (ttl !== '') query.set('ttl', ttl)
  if (token !== undefined) query.set('jwt', token)
  if (submission.isManifest) query.set('cm', 'true')
  const url = `${scheme}://${assignment.node.url}/${fid}`
  const reply = await http.request({
    method: 'POST',
    url: query.size > 0 ? `${url}?${query}` : url,
    headers: { ...submission.headers, 'content-type': submission.contentType },
    body: submission.body,
  })
  const stored = parseReply(await reply.bytes(CLUSTER_MESSAGE_BYTES_MAX))
  const reason =
    typeof stored.error === 'string' ? stored.error : `the volume server answered ${reply.status}`
  const status = reply.status >= 400 ? reply.status : 500
  return {
    fid,
    url,
    fileUrl: `${assignment.node.publicUrl}/${fid}`,
    eTag: typeof stored.eTag === 'string' ? stored.eTag : '',
    name: typeof stored.name === 'string' ? stored.name : '',
    sizeBytes: typeof stored.size === 'number' ? stored.size : 0,
    outcome: reply.status === 201 ? undefined : errorOutcome(status, reason, submission.pretty),
  }
}

function parseReply(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
