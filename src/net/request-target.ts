/** The target of a request as every server is to take it (RFC 9112, section 3.2.2). */

/** A proxy's form, `http://host/path?query`, without the host; every other target as it is. */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const match = /^https?:\/\/[^/?#]*/i.exec(target)
  if (match === null) return target
  const rest = target.slice(match[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
