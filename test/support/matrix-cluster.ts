/** A cluster of two workers that serve the matrix's application on the same ports; whoever forked it tells it what becomes of them. */
import cluster, { type Worker } from 'node:cluster'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createApplication, type Moment, type Protocol, protocols } from './matrix-application.js'

/** What it says. `accepted`: which worker has the connection from a client's port. */
export type Said =
  | { readonly ports: Readonly<Record<Protocol, number>> }
  | { readonly became: true }
  | { readonly accepted: { readonly from: number; readonly worker: number } }

if (cluster.isPrimary) lead()
else await work()

function lead(): void {
  const workers: Worker[] = [cluster.fork(), cluster.fork()]
  const waiting = { ports: workers.length, became: 0 }
  for (const worker of workers) {
    worker.on('exit', () => process.exit(1))
    worker.on('message', (said: Said) => {
      if ('ports' in said && --waiting.ports > 0) return
      if ('became' in said && --waiting.became > 0) return
      process.send?.(said)
    })
  }
  process.on('message', (moment: Moment) => {
    waiting.became = workers.length
    for (const worker of workers) worker.send(moment)
  })
  process.on('disconnect', () => {
    for (const worker of workers) worker.process.kill('SIGKILL')
    process.exit(0)
  })
}

async function work(): Promise<void> {
  const application = createApplication(JSON.parse(readFileSync(process.argv[2] as string, 'utf8')))
  const ports: Partial<Record<Protocol, number>> = {}
  for (const protocol of protocols) {
    const server = application.serve(protocol)
    server.on('secureConnection', ({ remotePort }) => {
      process.send?.({ accepted: { from: remotePort, worker: process.pid } })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ports[protocol] = (server.address() as AddressInfo).port
  }
  process.on('message', (moment: Moment) => {
    application.become(moment)
    process.send?.({ became: true })
  })
  process.send?.({ ports })
}
