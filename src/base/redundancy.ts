/** How the bytes of a blob are protected from the loss of a disk or a server. */

/** `none`: one copy. `rs-<k>-<m>`: k + m shards by Reed-Solomon's code, of which any k give the bytes back. */
export const REDUNDANCIES = ['none', 'rs-4-2', 'rs-2-1'] as const

export type Redundancy = (typeof REDUNDANCIES)[number]

export function isRedundancy(text: string): text is Redundancy {
  return (REDUNDANCIES as readonly string[]).includes(text)
}
