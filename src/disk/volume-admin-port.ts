/** The keeper's operations for the other threads of its process. */
import type { MessagePort } from 'node:worker_threads'
import { type Offer, PortCaller } from '../base/port-calls.ts'
import type { NewVolume, StoreStatus, VolumeAdmin } from './volume-admin.ts'

/** What to offer on a port so that a `VolumeAdminPort` at its other end works. */
export function offerVolumeAdmin(admin: VolumeAdmin): Offer {
  return {
    createVolume: (volume: NewVolume) => admin.createVolume(volume),
    deleteVolume: (id: number) => admin.deleteVolume(id),
    setReadOnly: (id: number, readOnly: boolean) => admin.setReadOnly(id, readOnly),
    compactVolume: (id: number, garbageThreshold: number) => admin.compactVolume(id, garbageThreshold),
    status: () => admin.status(),
  }
}

export class VolumeAdminPort implements VolumeAdmin {
  readonly caller: PortCaller

  constructor(port: MessagePort) {
    this.caller = new PortCaller(port)
  }

  createVolume(volume: NewVolume): Promise<void> {
    return this.caller.call('createVolume', volume)
  }

  deleteVolume(id: number): Promise<void> {
    return this.caller.call('deleteVolume', id)
  }

  setReadOnly(id: number, readOnly: boolean): Promise<void> {
    return this.caller.call('setReadOnly', id, readOnly)
  }

  compactVolume(id: number, garbageThreshold: number): Promise<{ compacted: boolean; garbageRatio: number }> {
    return this.caller.call('compactVolume', id, garbageThreshold)
  }

  status(): Promise<StoreStatus> {
    return this.caller.call('status')
  }
}
