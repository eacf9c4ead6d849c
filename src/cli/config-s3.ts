/** Settings of S3's second door. */
import { HOST_PORT, text } from './setting.ts'

export const S3_DOOR_SETTINGS = {
  website: text({
    ...HOST_PORT,
    doc:
      'HOST:PORT of a door that shows buckets as websites and nothing else: to BUCKET below a domain of `--s3-website-domain` or ' +
      'below `localhost`, or to a bucket that has the whole name of the host. Empty: none.',
    fallback: '',
    placeholder: 'HOST:PORT',
  }),
}
