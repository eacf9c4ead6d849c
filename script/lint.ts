/** `npm run lint`: types, then format and lint. `npm run lint -- --fix` repairs what can be repaired. */
import { check } from './checks.ts'

process.exitCode = check({ fix: process.argv.includes('--fix') }) ? 0 : 1
