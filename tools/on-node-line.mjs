// Runs a command on another Node line: `node tools/on-node-line.mjs 22 -- <arguments for node>`.
import { execFileSync, spawnSync } from 'node:child_process'

if (process.argv[1] === import.meta.filename) {
  const [line, separator, ...args] = process.argv.slice(2)
  if (!/^\d+$/.test(line ?? '') || separator !== '--') {
    console.error('usage: node tools/on-node-line.mjs <line> -- <arguments for node>')
    process.exit(2)
  }
  process.exit(runOnNodeLine(line, args))
}

/** Runs that line's node with our own stdio; returns its exit code, 1 when a signal ended it. */
export function runOnNodeLine(line, args) {
  return spawnSync(nodeOfLine(line), args, { stdio: 'inherit' }).status ?? 1
}

// The binary itself rather than npx around it: no npx start-up per run, and signals reach the process that works.
function nodeOfLine(line) {
  if (process.versions.node.startsWith(`${line}.`)) return process.execPath
  return execFileSync('npx', ['-y', '-p', `node@${line}`, 'node', '-p', 'process.execPath'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim()
}
