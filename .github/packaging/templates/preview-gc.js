#!/usr/bin/env node
// Runs the program from the package for this platform, which npm installed as an
// optional dependency.
"use strict";

const { spawn } = require("node:child_process");
const { join, dirname } = require("node:path");
const { optionalDependencies } = require("./package.json");

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

function program() {
  const suffix = `-${process.platform}-${process.arch}`;
  const name = Object.keys(optionalDependencies).find((one) => one.endsWith(suffix));
  if (!name) {
    fail(`there is no program for ${process.platform} on ${process.arch}; build preview-gc from its source`);
  }
  const file = process.platform === "win32" ? "preview-gc.exe" : "preview-gc";
  try {
    return join(dirname(require.resolve(`${name}/package.json`)), file);
  } catch {
    return fail(`the package ${name} is missing; install again without --omit=optional and --no-optional`);
  }
}

const child = spawn(program(), process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => fail(`could not start the program: ${error.message}`));

// A terminal sends Ctrl-C to both processes, and a second one would stop the
// program at once. Otherwise only this process may get the signal.
const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (!(inTerminal && signal === "SIGINT")) {
      child.kill(signal);
    }
  });
}

child.on("exit", (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else {
    process.exit(code);
  }
});
