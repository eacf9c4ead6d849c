/** What a volume server does with reads of volumes that another server has. */
export const READ_MODES = ['proxy', 'redirect', 'local'] as const
export type ReadMode = (typeof READ_MODES)[number]
