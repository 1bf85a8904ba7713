# Everything a person or CI types. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
export REPOSITORIES ?= repositories.toml
# The command's tests may run in parallel; the embedded AWS of each worker is its own.
WORKERS ?= 2

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## the project's own environment, .venv
	@local/setup

embedded: ## that, the embedded AWS and restic
	@local/setup embedded

demo: embedded ## a repository survives an attack, on an embedded AWS: two minutes
	@$(BIN)/python -m local.demo

local: embedded ## keep an embedded AWS running, with profiles for everybody
	@$(BIN)/python -m local up

local-down: ## stop it
	@$(BIN)/python -m local down

test: embedded ## all tests, with the ten slowest and the coverage of functions/
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations=10 --cov --cov-report=term -q

check: setup ## lint, types, and that what is generated is current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: ## speed and memory beside the peers, into build/bench.json and .png (ONLY=listing, FULL=1)
	@local/setup bench
	@ONLY=$(ONLY) FULL=$(FULL) $(BIN)/python -m bench

mutants: setup ## each guard removed on purpose: a test must fail
	@$(BIN)/python -m tests.mutants

long: embedded ## the long forms of what CI runs briefly
	@RWM_LONG=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations=10 -q

ceph: embedded ## the contract and the wall on a real S3 server, Ceph (root and apt, or installed)
	@RWM_TEST_CEPH=1 $(BIN)/python -m pytest tests/ceph tests/contract -q

synth: setup ## the CloudFormation templates, into cdk.out
	@CDK_OUTDIR=cdk.out $(BIN)/python app.py

diff: setup ## what a deployment would change
	@npx --yes aws-cdk@2.1148.1 diff --all

deploy: setup ## deploy to the account and region of your AWS credentials
	@$(BIN)/python -m infra.ready_to_deploy
	@npx --yes aws-cdk@2.1148.1 deploy --all --require-approval broadening

pins: setup ## pin the newest versions of all requirements, with hashes
	@local/pin

.PHONY: help setup embedded demo local local-down test check bench mutants long ceph synth diff deploy pins
