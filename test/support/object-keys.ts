/** Keys of an installation that is there for one test. */
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { type InstallationKey, ObjectKeys } from '../../src/objects/object-keys.ts'

export const installationKey = (id: string, createdMs = 0): InstallationKey => ({
  ...{ id, createdMs },
  secret: systemRandom.bytes(32),
})

export function objectKeys(...keys: InstallationKey[]): ObjectKeys {
  const all = keys.length === 0 ? [installationKey('test')] : keys
  return new ObjectKeys({ clock: systemClock, random: systemRandom, keys: all })
}
