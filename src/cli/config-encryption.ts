/** Settings of encryption. */
import { flag, text } from './setting.ts'

export const ENCRYPTION_SETTINGS = {
  encryptionKeys: text({
    doc: 'File of the keys that objects are encrypted with (SSE-S3). With names in PostgreSQL all servers need the same one, made by `cairn keys rotate`.',
    fallback: '',
    fallbackDoc: '`encryption.keys` in the first data directory, made at the first start',
    placeholder: 'FILE',
  }),
  sseCOverHttp: flag({
    doc: "Take clients' own keys (SSE-C) without TLS too: only where something before this server speaks TLS.",
    fallback: false,
  }),
}
