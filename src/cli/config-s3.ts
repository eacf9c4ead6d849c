/** Settings of S3's second door. */
import { text } from './setting.ts'

export const S3_DOOR_SETTINGS = {
  website: text({
    doc:
      'HOST:PORT of a door that shows buckets as websites and nothing else: to BUCKET below a domain of `--s3-website-domain` or ' +
      'below `localhost`, or to a bucket that has the whole name of the host. Empty: none.',
    fallback: '',
    placeholder: 'HOST:PORT',
    pattern: /^(\[[0-9a-fA-F:.]+\]|[^\s:,/[\]]+):\d{1,5}$/,
    expected: 'HOST:PORT',
  }),
}
