import { channel } from 'node:diagnostics_channel'

/** What a reload came to. After a failed one the former certificates stay. */
export type ReloadResult =
  | { readonly ok: true; readonly generation: number; readonly anchorCount: number }
  | { readonly ok: false; readonly error: Error }

/** What subscribers of the diagnostics channel `mtls-identity:reload` hear. */
export type ReloadEvent = ReloadResult & {
  /** What was read: paths as the operator wrote them, or the label of a provider. */
  readonly source: string
  /** True once it is older than `maxStaleness`, and refuses everybody. */
  readonly stale: boolean
}

const reloads = channel('mtls-identity:reload')

/** Tells `node:diagnostics_channel`, which keeps what subscribers throw to itself. */
export function publishReload(event: ReloadEvent): void {
  if (reloads.hasSubscribers) reloads.publish(Object.freeze(event))
}
