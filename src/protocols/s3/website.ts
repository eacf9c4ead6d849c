/**
 * Buckets as websites, at hosts of their own (BUCKET.DOMAIN of a website domain): index and error documents, redirects, and
 * pages for people instead of XML. Visitors are anonymous, and are let see what the bucket's policy or an ACL lets everyone see.
 */
import { assert } from '../../base/assert.ts'
import { StoreError } from '../../base/errors.ts'
import type { Outcome } from '../../net/reply.ts'
import type { Bucket, FoundObject } from '../../objects/object-store.ts'
import { type ErrorPlace, toS3Error } from './error-reply.ts'
import type { Authenticated } from './gate.ts'
import { objectHead, withBytes } from './object-reply.ts'
import { wholeBody } from './request-body.ts'
import { routeOf } from './route.ts'
import { S3Context, type S3Services } from './s3-context.ts'
import { S3Error } from './s3-error.ts'
import { S3Request, type S3RequestInput } from './s3-request.ts'
import type { Redirect, RoutingRule, Website } from './website-document.ts'
import { encodeUrl, escapeXml } from './xml-writer.ts'

interface Visit {
  input: S3RequestInput
  bucket: Bucket
  website: Exclude<Website, { redirectAllTo: unknown }>
  /** As the visitor asked for it. */
  key: string
}

export class WebsiteHost {
  readonly #services: S3Services

  constructor(services: S3Services) {
    this.#services = services
  }

  /** The page. Throws S3Error for what `errorPage` shows. */
  async answer(asked: S3Request, input: S3RequestInput, bucket: Bucket | undefined): Promise<Outcome> {
    if (input.method !== 'GET' && input.method !== 'HEAD') throw new S3Error('MethodNotAllowed')
    if (bucket === undefined) throw new S3Error('NoSuchBucket')
    const text = bucket.configs.get('website')
    if (text === undefined) throw new S3Error('NoSuchWebsiteConfiguration')
    const website = JSON.parse(text) as Website
    const { key } = asked
    if ('redirectAllTo' in website) return redirect(asked, { ...website.redirectAllTo, status: 301 }, { key })
    const rule = website.rules.find((each) => each.errorStatus === undefined && matchesKey(each, key))
    if (rule !== undefined) return redirect(asked, rule.redirect, { key, prefix: rule.keyPrefix })
    return this.#page(asked, { input, bucket, website, key })
  }

  async #page(asked: S3Request, visit: Visit): Promise<Outcome> {
    const { website, key } = visit
    const wanted = key === '' || key.endsWith('/') ? key + website.indexSuffix : key
    try {
      return await this.#object(visit, wanted, { status: undefined })
    } catch (thrown) {
      const error = toS3Error(thrown)
      if (
        wanted === key &&
        error.status < 500 &&
        (await this.#isThere(visit, `${key}/${website.indexSuffix}`))
      )
        return moved(302, `/${encodeUrl(key)}/`)
      const rule = website.rules.find((each) => each.errorStatus === error.status && matchesKey(each, key))
      if (rule !== undefined) return redirect(asked, rule.redirect, { key, prefix: rule.keyPrefix })
      if (website.errorKey === undefined || error.status >= 500) throw error
      return this.#object(visit, website.errorKey, { status: error.status }).catch(() => {
        throw error
      })
    }
  }

  async #isThere(visit: Visit, key: string): Promise<boolean> {
    try {
      await this.#find(visit, key)
      return true
    } catch {
      return false
    }
  }

  /** An object that everyone may see. Throws NoSuchKey, or AccessDenied where nobody may know what there is. */
  async #find(visit: Visit, key: string): Promise<{ context: S3Context; found: FoundObject }> {
    const { objects, gate } = this.#services
    const { bucket, input } = visit
    const target = `/${bucket.name}/${encodeURIComponent(key)}`
    const request = new S3Request({ ...input, target, rawHeaders: visitorHeaders(input.rawHeaders) }, [])
    const authenticated: Authenticated = await gate.authenticate(request)
    assert(authenticated.principal.account === undefined, 'visitors are anonymous')
    const found = await this.#maybe(() => objects.find(bucket, key))
    const place = { bucketName: bucket.name, bucket, request }
    if (found === undefined || found.info.isDeleteMarker) {
      const mayList = gate.allows(authenticated, { ...place, action: 's3:ListBucket', key: '' })
      throw new S3Error(mayList ? 'NoSuchKey' : 'AccessDenied', undefined, { extra: { Key: key } })
    }
    const question = { ...place, action: 's3:GetObject', key, object: found.info }
    if (!gate.allows(authenticated, question)) throw new S3Error('AccessDenied')
    const parts = { services: this.#services, route: routeOf(request), body: wholeBody(Buffer.alloc(0)) }
    return { context: new S3Context({ ...parts, request, authenticated, bucket, found }), found }
  }

  async #maybe(find: () => FoundObject | Promise<FoundObject>): Promise<FoundObject | undefined> {
    try {
      return await find()
    } catch (error) {
      if (error instanceof StoreError && (error.code === 'not_found' || error.code === 'key_too_long'))
        return undefined
      throw error
    }
  }

  /** `status`: of an error whose page it is; undefined for a page of its own. */
  async #object(visit: Visit, key: string, { status }: { status: number | undefined }): Promise<Outcome> {
    const { context, found } = await this.#find(visit, key)
    const { websiteRedirect } = found.info.attributes
    if (status === undefined && websiteRedirect !== undefined) return moved(301, websiteRedirect)
    if (status !== undefined) {
      const { contentType = 'binary/octet-stream' } = found.info.attributes
      const { sizeBytes } = found.info
      const whole = { status: 200 as const, headers: ['Content-Type', contentType], start: 0, end: sizeBytes }
      return { ...(await withBytes(found, whole)), status }
    }
    const head = objectHead(context)
    if (head.status === 304) return { status: 304, headers: head.headers, body: undefined }
    if (visit.input.method === 'HEAD') return { ...head, body: undefined, sizeBytes: head.end - head.start }
    return withBytes(found, head)
  }
}

/** Credentials mean nothing here. */
function visitorHeaders(rawHeaders: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (name !== 'authorization' && !name.startsWith('x-amz-')) kept.push(rawHeaders[i]!, rawHeaders[i + 1]!)
  }
  return kept
}

function matchesKey({ keyPrefix }: RoutingRule, key: string): boolean {
  return keyPrefix === undefined || key.startsWith(keyPrefix)
}

function redirect(
  asked: S3Request,
  to: Redirect,
  { key, prefix = '' }: { key: string; prefix?: string | undefined },
): Outcome {
  const protocol = to.protocol ?? (asked.isTls ? 'https' : 'http')
  const host = to.host ?? asked.header('host') ?? ''
  const target = to.key ?? (to.keyPrefix === undefined ? key : to.keyPrefix + key.slice(prefix.length))
  return moved(to.status ?? 301, `${protocol}://${host}/${encodeUrl(target)}`)
}

function moved(status: number, location: string): Outcome {
  return { status, headers: ['Location', location], body: undefined }
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [412, 'Precondition Failed'],
  [416, 'Requested Range Not Satisfiable'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
])

/** What people see when something is wrong. */
export function errorPage(error: S3Error, place: ErrorPlace): Outcome {
  const headers = ['Content-Type', 'text/html; charset=utf-8', ...error.headers]
  if (place.isHead) return { status: error.status, headers, body: undefined }
  const title = `${error.status} ${REASONS.get(error.status) ?? 'Error'}`
  const facts: [string, string][] = [
    ['Code', error.code],
    ['Message', error.message],
    ...Object.entries(error.extra ?? {}),
    ['RequestId', place.requestId],
    ['HostId', place.hostId],
  ]
  const list = facts.map(([name, value]) => `<li>${name}: ${escapeXml(value)}</li>`).join('\n')
  const page = `<html>\n<head><title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n<ul>\n${list}\n</ul>\n<hr/>\n</body>\n</html>\n`
  return { status: error.status, headers, body: Buffer.from(page) }
}
